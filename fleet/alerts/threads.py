"""One thread per incident: from the first mail until all that its reader was told is over."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from fleet.alerts.models import Mail
from fleet.registry.arrays import rows_of

_ROOTS: Final = """
SELECT m.channel_id, m.tenant_id, max(coalesce(m.root_id, m.id))
FROM alerts_told k JOIN alerts_mail m ON m.id = k.mail_id
WHERE k.is_open AND k.channel_id = ANY(%b::int8[])
GROUP BY m.channel_id, m.tenant_id
"""
# Mails of a thread that a References header names: the first, and the last ones. Ours; RFC 5322
# lets a long list be cut in the middle.
NAMED: Final = 10


def roots(channel_ids: Collection[int]) -> dict[tuple[int, int | None], int]:
    """Give the first mail of each live thread, by channel and tenant. One query."""
    rows = rows_of(_ROOTS, [list(channel_ids)])
    return {(channel_id, tenant_id): root_id for channel_id, tenant_id, root_id in rows}


def references(mail: Mail) -> list[str]:
    """Give the Message-IDs of the thread before this mail, the first one first. One query."""
    if mail.root_id is None:
        return []
    before = Mail.objects.filter(root_id=mail.root_id, state=Mail.State.SENT, pk__lt=mail.pk)
    first = Mail.objects.filter(pk=mail.root_id).values_list("message_id", flat=True)
    newest = list(before.order_by("-pk").values_list("message_id", flat=True)[: NAMED - 1])
    return [*first, *reversed(newest)]
