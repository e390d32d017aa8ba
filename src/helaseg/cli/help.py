"""Two tiers of settings: ``--help`` shows the first, ``--help-all`` shows every one."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from cyclopts.help import DefaultFormatter

if TYPE_CHECKING:
    from cyclopts.help import HelpPanel
    from rich.console import Console, ConsoleOptions

#: Flag that shows every setting.
HELP_ALL = "--help-all"
#: Whether it was given on this command line.
all_wanted: ContextVar[bool] = ContextVar("all_wanted", default=False)

#: Settings that a user may want to change without reading about the method. A command that has
#: none of them shows all of its settings.
FIRST_TIER = frozenset(
    {
        "--background.resin",
        "--detect.slice-step-nm",
        "--detect.min-radius-nm",
        "--track.min-radius-nm",
        "--track.min-length-nm",
        "--track.small-radius-nm",
        "--rois.mode",
        "--rois.size-nm",
        "--rois.margin-nm",
        "--nucleus.min-area-um2",
        "--nucleus.bridge-nm",
        "--envelope.search-nm",
        "--cell.border-nm",
        "--cell.competition.min-cell-um3",
        "--network.width",
        "--network.n-axes",
        "--network.classes",
        "--working-voxel-nm",
        "--axes",
        "--batch-size",
        "--n-steps",
        "--learning-rate",
        "--validation-share",
        "--patience",
    }
)


class TieredSettings(DefaultFormatter):
    """Show the first tier of a panel of settings and count the others."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: HelpPanel) -> None:
        """Render one panel."""
        first = [entry for entry in panel.entries if FIRST_TIER.intersection(entry.names)]
        if first and not all_wanted.get():
            n_others = len(panel.entries) - len(first)
            panel = panel.copy(
                entries=first,
                description=f"{n_others} more settings of the method: {HELP_ALL}",
            )
        super().__call__(console, options, panel)
