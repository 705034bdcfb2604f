"""Whether a file in the cache of rewritten weights is the one that this machine has put there.

The cache can be copied, shared and restored from elsewhere, and what is in it is loaded. So
the name of each file says of which weights it was made and what is in it, and is signed. A file
that somebody else put there, or put in the place of another, has another name than it should have.
"""

from __future__ import annotations

from workbench.persistence.signing import signature


def seal(source: str, content: str, *, trusted: bool) -> str:
    """Return what the name of a file in the cache has to say.

    Parameters
    ----------
    source, content : str
        SHA-256 of the weights that it was made of, and of itself, in hexadecimal digits.
    trusted : bool
        Whether the weights were loaded with their code.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    return signature(f"{source} {content} {'trusted' if trusted else 'plain'}")
