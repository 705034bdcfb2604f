"""Whatever bytes a reader gets, only errors of `workbench.errors` come out of it.

`targets` names every reader of bytes that may come from somebody else. The ordinary tests run
each over a small corpus and a few hundred variations of it; ``python -m tests.fuzz`` goes on
for as long as you like, led by the code that the inputs reach (needs the extra ``fuzz``).
"""
