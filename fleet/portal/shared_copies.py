"""Which names of a pair open copies in a folder of all tenants, so that only operators may change them."""

from __future__ import annotations

from django.utils.translation import gettext as _

from fleet.backups.directory import place_within, roots_of
from fleet.backups.models import BackupSource
from fleet.backups.places import Trouble, fill
from fleet.portal.scoped_admin import Rows
from fleet.registry.models import Target
from fleet.registry.scoping import EVERYTHING


def why_not_renamed(rows: Rows, target: Target) -> str:
    """Say why this person may not give the pair another name; "" where they may.

    In a folder of all tenants {pair} alone tells whose a copy is: by another's name it is another's.
    """
    if not target.pk or rows.edited == EVERYTHING:
        return ""
    directories = rows.of(BackupSource).filter(target=target, kind=BackupSource.Kind.DIRECTORY)
    for source in directories.select_related("target__tenant"):
        named = source.folder + source.name_pattern
        if "{pair}" in named and "{tenant}" not in named and _is_shared(source):
            return _("Its copies lie in a folder of all tenants by this name: ask an operator.")
    return ""


def _is_shared(source: BackupSource) -> bool:
    try:
        folder = fill(source.folder, source.target)
        place_within(folder, roots_of(source.target, is_shared_too=False))
    except Trouble:
        return True
    return False
