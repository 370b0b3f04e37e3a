"""The loop of the process: listen, answer, look for alerts, tell what waits, and give a sign of life before each."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from bot3.errors import NotifierBusyError, NotifierError, StoreError
from bot3.logs import redacted
from bot3.ports.chat import Chat, ChatMessage
from bot3.ports.clock import Clock
from bot3.ports.control import ControlStore, Heartbeat
from bot3.ports.notices import NoticeStore
from bot3.ports.notifier import Message, Notifier
from bot3.usecases.bot_state import LISTENING, TELEGRAM
from bot3.usecases.tell import tell
from telegram_bot.access import Access, access_of, command_of
from telegram_bot.page import Page, rendered

UNREACHED = "cannot reach Telegram"
LOOK_EVERY = timedelta(seconds=10)
STORES_AWAY = timedelta(seconds=60)
"""The stores are told to be away by themselves, without them, after so long."""
_LONGEST_PAUSE_S = 8.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the loop works with; `look` returns how many alerts are on, and raises StoreError if the stores cannot be asked."""

    chat: Chat
    notifier: Notifier
    notices: NoticeStore
    control: ControlStore
    clock: Clock
    chat_id: int
    users: Collection[int]
    answer: Callable[[str, tuple[str, ...], int], str]
    look: Callable[[], int]


class Monitor:
    """Listens and tells until asked to stop.

    Telegram that is away delays answers and alerts, stores that are away are told; neither ends it. Another process with the same token
    (AlreadyRunningError), a token that nobody knows (NotifierRefusedError) and a home that was replaced (DataError) do.
    """

    def __init__(self, parts: Parts, *, wait_s: float = 4.0) -> None:
        self._parts, self._wait_s = parts, wait_s
        self._started_at = parts.clock.wall_now()
        self._name: str | None = None
        self._pause_s = 0.0
        self._looked_at: datetime | None = None
        self._away_since: datetime | None = None
        self._is_away_told = False
        self._answered = self._alerts = 0
        self._strangers: set[tuple[int, int | None]] = set()
        self._refused: set[int | None] = set()

    def run(self, *, should_stop: Callable[[], bool]) -> None:
        """Take steps until asked to stop."""
        while not should_stop():
            self.step()

    def step(self) -> None:
        """Listen once, and do what is due."""
        self._beat()
        for message in self._heard():
            self._receive(message)
            self._beat()
        self._look()
        self._beat()
        self._tell()

    def _heard(self) -> list[ChatMessage]:
        chat = self._parts.chat
        try:
            if self._name is None:
                name = chat.name()
                chat.skip_waiting()
                # Last: until all of that is done, what was written before would be answered.
                self._name = name
                log.info("listening", bot=self._name, users=len(self._parts.users))
            found = chat.messages(wait_s=self._wait_s)
        except NotifierBusyError as error:
            self._pause_s = min(max(2.0 * self._pause_s, 1.0), _LONGEST_PAUSE_S)
            log.warning("telegram_away", problem=str(error), again_s=self._pause_s)
            self._beat()
            self._parts.clock.sleep(self._pause_s)
            return []
        self._pause_s = 0.0
        return found

    def _receive(self, message: ChatMessage) -> None:
        access = access_of(message, chat_id=self._parts.chat_id, users=self._parts.users)
        if access is Access.IGNORE:
            self._ignore(message)
            return
        asked = command_of(message.text, bot_name=self._name or "")
        if asked is None:
            return
        name, arguments = asked
        if access is Access.REFUSE or message.user_id is None:
            self._refuse(message.user_id)
            return
        log.info("answered", command=name, user=message.user_id)
        self._answered += 1
        self._send(self._parts.answer(name, arguments, message.user_id))

    def _refuse(self, user: int | None) -> None:
        if user in self._refused or len(self._refused) >= 1_000:
            return
        # Once each: a member of the group could let this bot flood it else.
        self._refused.add(user)
        log.warning("user_refused", user=user)
        self._send(rendered(Page(title="Not for you", blocks=("Only users of BOT3_TELEGRAM_USERS are answered.",))))

    def _ignore(self, message: ChatMessage) -> None:
        stranger = (message.chat_id, message.user_id)
        if stranger not in self._strangers and len(self._strangers) < 1_000:
            # Once each, and what they wrote not at all.
            self._strangers.add(stranger)
            log.warning("stranger_ignored", chat=message.chat_id, user=message.user_id)

    def _send(self, html: str) -> None:
        try:
            self._parts.chat.answer(html)
        except NotifierError as error:
            # An answer is worth nothing later: whoever asked asks again.
            log.warning("answer_lost", problem=str(error))

    def _look(self) -> None:
        wall = self._parts.clock.wall_now()
        if self._looked_at is not None and timedelta(0) <= wall - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = wall
        try:
            self._alerts = self._parts.look()
        except StoreError as error:
            self._miss_stores(error, wall=wall)
        else:
            self._find_stores()

    def _miss_stores(self, error: StoreError, *, wall: datetime) -> None:
        log.warning("stores_away", problem=str(error))
        self._away_since = self._away_since or wall
        if not self._is_away_told and wall - self._away_since >= STORES_AWAY:
            # Directly: what waits to be told is kept in a store.
            text = redacted(f"The stores cannot be asked since {self._away_since:%H:%M:%S} UTC: {error}")
            self._is_away_told = self._told(Message(title="Alert", lines=(text, "No other alert is told while that lasts.")))

    def _find_stores(self) -> None:
        if self._is_away_told:
            self._is_away_told = not self._told(Message(title="Over", lines=("The stores answer again.",)))
        self._away_since = None

    def _told(self, message: Message) -> bool:
        try:
            self._parts.notifier.notify(message)
        except NotifierError as error:
            log.warning("notice_delayed", problem=str(error))
            return False
        return True

    def _tell(self) -> None:
        try:
            tell(self._parts.notices, self._parts.notifier, wall_now=self._parts.clock.wall_now, at_most=3)
        except StoreError as error:
            log.warning("stores_away", problem=str(error))

    def _beat(self) -> None:
        clock = self._parts.clock
        detail: dict[str, str | int] = {"answered": self._answered, "alerts": self._alerts, "users": len(self._parts.users)}
        is_reached = self._name is not None and not self._pause_s
        try:
            refusals = self._parts.notices.refusals()
            detail |= {"waiting": self._parts.notices.waiting(), "refused": refusals.problem, "dropped": refusals.dropped}
            self._parts.control.beat(
                Heartbeat(
                    process=TELEGRAM,
                    pid=os.getpid(),
                    started_at=self._started_at,
                    wall_at=clock.wall_now(),
                    market_at=clock.now(),
                    state=LISTENING if is_reached else UNREACHED,
                    detail=detail,
                )
            )
        except StoreError as error:
            log.warning("beat_lost", problem=str(error))
