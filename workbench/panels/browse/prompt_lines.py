"""What a person types into the small forms of *Suggest boxes*. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def prompts_of(text: str, classes: Sequence[str]) -> dict[int, list[str]]:
    """Read the words of each class, a line for each: ``cup: a cup, a mug``.

    A class whose only word is its name is left out: that is what is looked for anyhow.

    Raises
    ------
    ValueError
        If a line is not that of a class, or a class has two of them.
    """
    found: dict[int, list[str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        # The longest that fits: a name may have a colon in it.
        fitting = [name for name in classes if line.strip().startswith(f"{name}:")]
        if not fitting:
            raise ValueError(
                f"line {number}, {line.strip()!r:.80}: expected the name of a class, a colon and "
                f"words with commas between; the classes are {', '.join(classes)}"
            )
        name = max(fitting, key=len)
        class_id = classes.index(name)
        if class_id in found:
            raise ValueError(f"line {number}: expected one line for {name}, found a second one")
        words = line.strip()[len(name) + 1 :].split(",")
        found[class_id] = [" ".join(word.split()) for word in words if word.strip()]
    return {
        class_id: words
        for class_id, words in found.items()
        if words and words != [classes[class_id].replace("_", " ")]
    }


def mapping_of(text: str) -> dict[str, str | None]:
    """Read which class of a model is which of the dataset: ``kitty = cat, dog =``.

    A class with nothing behind it is left out.

    Raises
    ------
    ValueError
        If a part has no name, or no sign of equality.
    """
    found: dict[str, str | None] = {}
    for part in text.split(","):
        if not part.strip():
            continue
        theirs, sign, ours = part.partition("=")
        if not sign or not theirs.strip():
            raise ValueError(
                f"{part.strip()!r:.80}: expected a class of the model, = and one of the dataset, "
                "as in: kitty = cat, dog ="
            )
        found[theirs.strip()] = ours.strip() or None
    return found
