"""Storage in the files of this computer."""
