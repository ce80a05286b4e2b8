"""An organization on loopback behind a bare asyncio protocol, so that it is never the bottleneck.

Replies are made from the simulator's own people and tokens, once each; `--latency` is added to
each call without keeping a core busy.
"""

from __future__ import annotations
