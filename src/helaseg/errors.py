"""Every error and warning that helaseg raises on purpose.

::

    HelasegError
    ├── ParameterError      (ValueError)   an argument or setting is wrong
    ├── GridMismatchError   (ValueError)   two volumes do not lie on the same grid
    ├── DataFormatError     (ValueError)   a file is not what it should be
    │   ├── MissingVoxelSizeError          neither the file nor the caller gives the voxel size
    │   └── MissingSlicesError             a gap in the slice numbers
    ├── CheckpointError     (RuntimeError) a trained network is missing, damaged or does not fit
    ├── OutputExistsError   (FileExistsError)  the output folder holds another job's files
    ├── JobError            (RuntimeError) a job failed while it ran
    └── MissingExtraError   (ImportError)  an optional dependency is not installed
    HelasegWarning (UserWarning)
    ├── DoubtfulDataWarning                a file may not be what it seems; says what is assumed
    ├── NothingFoundWarning                a step found nothing; says what to try
    ├── FailedPictureWarning               a picture of a page could not be drawn; says why
    ├── WeakAxisWarning                    a network finds little along one of three axes
    └── UndefinedScoreWarning              a score has no value; says why

A message says what was expected, what came and what to do next, in one line.
The command line turns `HelasegError` into that line and exit code 2 (wrong
use or bad input), `JobError` into exit code 1.
"""

from __future__ import annotations


class HelasegError(Exception):
    """Base of all errors that helaseg raises on purpose."""


class ParameterError(HelasegError, ValueError):
    """An argument or a setting is out of range or of the wrong kind."""


class GridMismatchError(HelasegError, ValueError):
    """Two volumes do not share shape, voxel size and offset."""


class DataFormatError(HelasegError, ValueError):
    """A file or folder is not what it should be."""


class MissingVoxelSizeError(DataFormatError):
    """Neither the file nor the caller gives the voxel size."""


class MissingSlicesError(DataFormatError):
    """The slice numbers of a folder have gaps."""


class CheckpointError(HelasegError, RuntimeError):
    """A trained network is missing, damaged or does not fit."""


class OutputExistsError(HelasegError, FileExistsError):
    """The output folder is in use by another job."""


class JobError(HelasegError, RuntimeError):
    """A job failed while it ran; what is finished is kept."""


class MissingExtraError(HelasegError, ImportError):
    """An optional dependency is not installed."""


class HelasegWarning(UserWarning):
    """Base of all warnings that helaseg raises on purpose."""


class DoubtfulDataWarning(HelasegWarning):
    """A file may not be what it seems; the message says what is assumed."""


class NothingFoundWarning(HelasegWarning):
    """A step found nothing; the message says what to try."""


class FailedPictureWarning(HelasegWarning):
    """A picture of a page could not be drawn; the message says why."""


class WeakAxisWarning(HelasegWarning):
    """A network finds little along one of three axes; the message says what to try."""


class UndefinedScoreWarning(HelasegWarning):
    """A score has no value; the message says why."""
