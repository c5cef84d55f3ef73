"""When a pod that is ready counts as available: once it has been ready for `minReadySeconds`.

Source: pkg/api/pod/util.go (`IsPodAvailable`).
"""

from __future__ import annotations

from datetime import datetime

from emulator.api.objects.pod import Pod


def available_in(pod: Pod, min_ready_seconds: int, wall: str) -> float | None:
    """Return the seconds until `pod` counts as available: 0 if it does now, None if it is not ready."""
    for condition in pod.status.conditions:
        if condition.type == "Ready" and condition.status == "True":
            if not min_ready_seconds or not condition.last_transition_time:
                return 0
            since = datetime.fromisoformat(wall) - datetime.fromisoformat(condition.last_transition_time)
            return max(0.0, min_ready_seconds - since.total_seconds())
    return None
