"""Lists of any length, had from the controller in pages."""

from __future__ import annotations

import msgspec

from emulator.api.messages import LIST, ListParams, Object
from emulator.runtime.control.client import ControlClient

PAGE = 500
"""Objects that are had at once, as many as kubectl asks for."""


async def list_all(client: ControlClient, params: ListParams) -> list[Object]:
    """Return the objects as they were at one revision. ControlError: EXPIRED where too much happens meanwhile."""
    page = await client.call(LIST, msgspec.structs.replace(params, limit=PAGE))
    objects = page.items
    while page.continue_:
        page = await client.call(LIST, msgspec.structs.replace(params, limit=PAGE, continue_=page.continue_))
        objects += page.items
    return objects
