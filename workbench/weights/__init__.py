"""Weights files: read without running them, and written again as tensors and layers.

A weights file of torch is a pickle, which is a program: whoever loads it runs it. Here it is
read by a reader of our own that knows no way to run anything, in a process of its own:

1. `archive` takes the file apart, and refuses what two readers could read differently.
2. `program` follows the pickle's instructions. Where they name a class or call something, it
   only notes that.
3. `names` is the list of the classes that models of Ultralytics consist of, by exact name.
4. `meaning` turns what was noted into plain data, tensors and layers of that list; all else
   is refused.
5. `container` is the file that comes of it: no pickle, in the layout of safetensors.
6. `building` makes a checkpoint of that file in the process that wants to use it.

`rewriting` is the way through all of it; `consent` is the list of files, by their digest, to
whose code somebody on this machine has said yes.
"""
