"""How Ultralytics is run: offline, quiet, with settings of its own, and only if torch is sane.

What it would do otherwise: look whether it is online, send usage statistics, check for a
newer version, install missing packages, fetch a font for its plots, and switch on every
experiment tracker that happens to be installed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

from workbench.errors import SetupError
from workbench.own_python import python_path
from workbench.persistence.image_bounds import max_pixels

OFFLINE = {
    "YOLO_OFFLINE": "1",
    "YOLO_AUTOINSTALL": "false",
    "ULTRALYTICS_SAFE_LOAD": "1",
}
"""Switches that Ultralytics reads when it is imported."""

# Ultralytics tries some downloads although it was told to be offline (weights for its check
# of mixed precision on a GPU). Port 9 of this machine refuses at once, also in processes
# that Ultralytics starts itself.
_NOWHERE = "http://127.0.0.1:9"
_NO_NETWORK = {
    **dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), _NOWHERE),
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), _NOWHERE),
    **dict.fromkeys(("no_proxy", "NO_PROXY"), "localhost,127.0.0.1"),
}
_SECRETS = ("ULTRALYTICS_API_KEY",)  # its presence alone makes Ultralytics upload the run
_TRACKERS = ("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb")
_FONTS = ("Arial.ttf", "Arial.Unicode.ttf")
_guard = Lock()


def check_torch() -> str | None:
    """Return what is wrong with torch and torchvision, with the remedy; None if nothing is.

    Imports both, which takes seconds the first time. A pair of builds that do not belong
    together imports torch and then fails in torchvision.
    """
    try:
        import torch  # noqa: F401
    except (ImportError, OSError) as error:
        return (
            f"torch cannot be imported ({_first_line(error)}): "
            "install it with `pip install --upgrade torch torchvision`"
        )
    try:
        from torchvision.ops import nms  # noqa: F401
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        return (
            f"torch {_version('torch')} and torchvision {_version('torchvision')} do not fit "
            f"each other ({_first_line(error)}): install both from one source with "
            "`pip install --upgrade --force-reinstall torch torchvision`"
        )
    return None


def worker_environment(settings_dir: Path) -> dict[str, str]:
    """Return the environment variables for a process that trains and reaches no network.

    It finds this package, and looks for no module in the folder that it starts in.

    Parameters
    ----------
    settings_dir : Path
        Folder for Ultralytics' settings, private to that process.
    """
    environment = {key: value for key, value in os.environ.items() if key not in _SECRETS}
    own = {"YOLO_CONFIG_DIR": str(settings_dir), "PYTHONSAFEPATH": "1"}
    return environment | OFFLINE | _NO_NETWORK | python_path() | own


def import_ultralytics(settings_dir: Path | None = None, *, restricted: bool = True) -> Any:
    """Import Ultralytics into this process, offline and quiet, and return the module.

    Its settings lie in `settings_dir`, by default a folder of ours beside other caches.
    If somebody imported it before, only its usage statistics are switched off; the other
    switches are read when it is imported, and are not ours to change afterwards.

    Parameters
    ----------
    settings_dir : Path, optional
    restricted : bool
        Whether it shall load nothing but its own layers. False is for a process of our own
        whose weights somebody has said yes to.

    Raises
    ------
    SetupError
        If torch, torchvision or Ultralytics cannot be imported.
    """
    problem = check_torch()
    if problem:
        raise SetupError(problem)
    with _guard:
        try:
            if "ultralytics" in sys.modules:
                import ultralytics
            else:
                config_dir = str(settings_dir or cache_dir())
                own = {
                    "YOLO_CONFIG_DIR": config_dir,
                    "ULTRALYTICS_SAFE_LOAD": "1" if restricted else "0",
                }
                with _environment(OFFLINE | own), _without_chatter():
                    import ultralytics
        except (ImportError, OSError) as error:
            raise SetupError(
                f"ultralytics cannot be imported ({_first_line(error)}): "
                "install it with `pip install --upgrade ultralytics`"
            ) from error
        _silence_statistics()
    return ultralytics


def prepare_worker(settings_dir: Path, *, restricted: bool = True) -> Any:
    """Import Ultralytics into a process that was started with `worker_environment`.

    Its settings are written to `settings_dir`, so that processes which Ultralytics starts
    itself, one for each GPU, have them too; for `restricted` see `import_ultralytics`.
    Returns the module.
    """
    if not restricted:
        os.environ["ULTRALYTICS_SAFE_LOAD"] = "0"
    _provide_fonts(settings_dir / "Ultralytics")
    ultralytics = import_ultralytics(settings_dir, restricted=restricted)
    ultralytics.SETTINGS.update({"sync": False, **dict.fromkeys(_TRACKERS, False)})
    bound_pictures()
    return ultralytics


def bound_pictures() -> None:
    """Let Ultralytics leave out pictures beyond our bound, like those that it cannot read.

    It asks Pillow for their size first, whose own bound is 179 million pixels, and then decodes
    them with OpenCV, which has none that would help.
    """
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = max_pixels() // 2  # Pillow warns from there on, and refuses twice that
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


def cache_dir() -> Path:
    """Return the folder for what can be made or fetched again."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "workbench"


def ultralytics_folder() -> Path:
    """Return the folder of the installed Ultralytics package, without importing it.

    Raises
    ------
    SetupError
        If it is not installed.
    """
    spec = find_spec("ultralytics")
    if spec is None or spec.origin is None:
        raise SetupError("ultralytics is not installed: `pip install ultralytics`")
    return Path(spec.origin).parent


def _provide_fonts(config_dir: Path) -> None:
    # Ultralytics looks for these names and fetches them where they are missing, also when
    # it is offline and draws nothing. Matplotlib brings a free font that does.
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return
    font = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / "DejaVuSans.ttf"
    config_dir.mkdir(parents=True, exist_ok=True)
    for name in _FONTS:
        target = config_dir / name
        if not target.exists():
            target.write_bytes(font.read_bytes())


def _silence_statistics() -> None:
    with contextlib.suppress(ImportError, AttributeError):  # other releases keep it elsewhere
        from ultralytics.utils.events import events

        events.enabled = False


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {key: os.environ.get(key) for key in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                os.environ.pop(key, None)
            else:
                os.environ[key] = value


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    # A filter, because the level is set while Ultralytics is imported.
    logger = logging.getLogger("ultralytics")

    def is_serious(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    logger.addFilter(is_serious)
    try:
        yield
    finally:
        logger.removeFilter(is_serious)


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "(not installed)"


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
