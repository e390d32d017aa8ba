"""Pages from templates, written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import jinja2

from helaseg.io import atomic_path


def template(name: str) -> jinja2.Template:
    """A template of the report; a name that it uses and is not given is an error."""
    # Escaping is on for everything: names come from files of other people.
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("helaseg.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def write_page(path: Path, page: str) -> Path:
    """Write a page; what is there is replaced as a whole."""
    with atomic_path(path) as target:
        target.write_text(page, encoding="utf-8")
    return path
