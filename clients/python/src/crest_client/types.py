"""What the API answers, as its contract says it: written by tools/generate_types.py, not by hand.

Times are milliseconds since 1970 UTC.
"""

from __future__ import annotations

from typing import Any, Dict, List, Literal, Optional, TypedDict, Union


class _Snapshot(TypedDict):
    board: str
    window: str
    group: "Group"
    window_start: int
    """Milliseconds since 1970 UTC."""
    window_end: int
    """Milliseconds since 1970 UTC, exclusive."""
    computed_at: int
    """Milliseconds since 1970 UTC."""
    watermark: int
    """No event earlier than this will be counted any more; milliseconds since 1970 UTC."""
    final: bool
    """Whether it never changes again."""
    total: int
    """
    The weight of all events in the window; of a board that counts different values, how many were counted in
    all panes and of all items together; of one that retracts, what is left.
    """
    error: int
    """The largest upper - lower among the items."""
    error_floor: int
    """
    An item with more than this in the window is among the candidates; one that is not listed has at most
    this, or the last row's upper where there are K rows.
    """
    guaranteed: int
    """How many leading items are certainly in the true top K."""
    items: List["Item"]


class Snapshot(_Snapshot, total=False):
    """The ranked top K of one board, group and window at one instant."""
    other: "Other"
    distinct: "Distinct"
    retracts: "Retracts"
    partial: Literal[True]
    """
    There when some of the window was not counted for this board, since the board, or the window, came in
    later, or a region is missing.
    """
    since: int
    """Of a partial ranking: from when on all was counted; milliseconds since 1970 UTC."""
    missing: List[str]
    """
    Of a ranking that is merged from the states of regions: the regions whose events are missing from some of
    the window.
    """
    snapshot_age_seconds: float
    """Since it was computed; absent of past intervals."""
    stale: Literal[True]
    """There when it could not be refreshed: the job that writes it is dead or held up, or Redis is away."""


class _Rising(TypedDict):
    board: str
    window: str
    group: "Group"
    by: Literal['rise']
    against: str
    """previous, or how much earlier the interval before is."""
    window_start: int
    """Milliseconds since 1970 UTC."""
    window_end: int
    """Milliseconds since 1970 UTC, exclusive."""
    before_start: int
    """Where the interval before begins; milliseconds since 1970 UTC."""
    before_end: int
    """Where it ends, exclusive."""
    computed_at: int
    """Milliseconds since 1970 UTC."""
    watermark: int
    """As window_end."""
    final: Literal[True]
    total: int
    """The weight of all events in the interval."""
    total_before: int
    """The weight of all events in the interval before."""
    error: int
    """The largest rise - rise_lower among the items."""
    error_floor: int
    """An item that has risen by more, or has a greater surge, is among the candidates."""
    guaranteed: int
    """How many leading items have certainly risen and are certainly in the true top K."""
    items: List["RisingItem"]


class Rising(_Rising, total=False):
    """The top K of what has risen between two equally long intervals."""
    partial: Literal[True]
    """There when a region is missing from some of either interval."""
    missing: List[str]
    """The regions that are."""


class RisingItem(TypedDict):
    """
    An item that may have risen. A number without _lower is the greatest that it can be, and the one with it
    the least.
    """
    rank: int
    item_id: str
    count: int
    """The reported count, which is upper."""
    lower: int
    upper: int
    before: int
    """The count in the interval before, at most."""
    before_lower: int
    exact: bool
    """Whether both counts are exact."""
    rise: int
    """upper - before_lower."""
    rise_lower: int
    """lower - before."""
    surge: float
    """rise / sqrt(before_lower + 1)."""
    surge_lower: float
    """rise_lower / sqrt(before + 1)."""


Distinct = str
"""
There where the board counts how many different values each item has: the name of the field that they are of.
"""


Retracts = Literal[True]
"""There where some events take away what others have counted: all numbers are of what is left, at least 0."""


class Estimate(TypedDict):
    """
    There where the count is an estimate: of more than 64 different values of a sketched board. It is off by
    at most standard_error in two of three cases; what is certain are lower and upper.
    """
    count: int
    """The same as the count."""
    standard_error: int


class Other(TypedDict):
    """
    There but where different values are counted, which do not add up, or the board retracts. The weight of
    all items without a row, so that shares add up: the total is its upper bound and the lower bounds of the
    rows. The total of a group may lack weight, up to error_floor, which upper then has too.
    """
    count: int
    """The reported weight, which is upper."""
    lower: int
    upper: int
    exact: bool
    """Whether lower is upper."""


class _Series(TypedDict):
    board: str
    window: str
    group: "Group"
    window_start: int
    """Milliseconds since 1970 UTC."""
    window_end: int
    """Milliseconds since 1970 UTC, exclusive."""
    computed_at: int
    """Milliseconds since 1970 UTC."""
    watermark: int
    """No event earlier than this will be counted any more; milliseconds since 1970 UTC."""
    final: bool
    """Whether it never changes again."""
    total: int
    """
    The weight of all events in the window; of a board that counts different values, how many were counted in
    all panes and of all items together; of one that retracts, what is left.
    """
    error: int
    """The largest upper - lower among the items."""
    error_floor: int
    """
    An item with more than this in the window is among the candidates; one that is not listed has at most
    this, or the last row's upper where there are K rows.
    """
    guaranteed: int
    """How many leading items are certainly in the true top K."""
    items: List["Item"]
    step_ms: int
    """The length of a step in milliseconds."""
    points: List["Point"]
    """
    By time, and of each step by rank. They leave no gap in the interval, and lie on multiples of the step
    since 1970; the last step ends with what is durable.
    """


class Series(_Series, total=False):
    """The ranked top items of an interval, and the points of each."""
    other: "Other"
    distinct: "Distinct"
    retracts: "Retracts"
    partial: Literal[True]
    """
    There when some of the window was not counted for this board, since the board, or the window, came in
    later, or a region is missing.
    """
    since: int
    """Of a partial ranking: from when on all was counted; milliseconds since 1970 UTC."""
    missing: List[str]
    """
    Of a ranking that is merged from the states of regions: the regions whose events are missing from some of
    the window.
    """


class KnownItemRank(TypedDict):
    best: int
    """So many less one certainly rank before it."""
    worst: int
    """No more than so many less one can rank before it."""


class _KnownItem(TypedDict):
    board: str
    item_id: str
    window: str
    group: "Group"
    window_start: int
    """Milliseconds since 1970 UTC."""
    window_end: int
    """Milliseconds since 1970 UTC, exclusive."""
    computed_at: int
    """Milliseconds since 1970 UTC."""
    watermark: int
    """No event earlier than this will be counted any more; milliseconds since 1970 UTC."""
    final: bool
    """Whether it never changes again."""
    total: int
    """The weight of all events in the window."""
    error_floor: int
    """An item that is not counted on its own has at most this."""
    count: int
    """upper; of different values, how many there are, or most likely are."""
    lower: int
    """At least so much was counted."""
    upper: int
    """At most so much was counted."""
    exact: bool
    listed: bool
    """
    Whether it is counted on its own in some of the window; otherwise no more is known than of any item that
    is not.
    """
    rank: Optional["KnownItemRank"]
    """
    The ranks that it can have; null where it certainly has no event, or where it is withheld or blocked.
    """


class KnownItem(_KnownItem, total=False):
    """What is known of one item of a board and group in a window or interval."""
    partial: Literal[True]
    """
    There when some of the window was not counted for this board, since the board, or the window, came in
    later, or a region is missing.
    """
    since: int
    """Where it is partial: from when on all was counted; milliseconds since 1970 UTC."""
    missing: List[str]
    """
    Where the states of regions are merged: the regions whose events are missing from some of the window.
    """
    estimate: "Estimate"
    distinct: "Distinct"
    retracts: "Retracts"
    blocked: Literal[True]
    """
    There where the board's blocklist has the item: rankings leave it out, so that it has no rank, and it goes
    on being counted.
    """
    withheld: Literal[True]
    """
    There where the board has a min_count, and the item is not shown since it may be of too few. What is
    answered is then the same whether it has an event or not: at most min_count - 1, or its upper bound where
    that is greater; so it is of each point.
    """
    step_ms: int
    """With points: the length of a step in milliseconds."""
    points: List["Point"]
    """
    By time. They leave no gap in the interval, and lie on multiples of the step since 1970; the last step
    ends with what is durable.
    """
    snapshot_age_seconds: float
    """Since the ranking that says so was computed; absent of what is from the state."""
    stale: Literal[True]
    """There when that ranking could not be refreshed."""


class _Point(TypedDict):
    window_start: int
    """Milliseconds since 1970 UTC."""
    window_end: int
    """Milliseconds since 1970 UTC, exclusive."""
    total: int
    """The weight of all items in the step."""
    count: int
    """upper; of different values, how many there are, or most likely are."""
    lower: int
    """At least so much was counted."""
    upper: int
    """At most so much was counted."""
    exact: bool


class Point(_Point, total=False):
    """What an item has in one step."""
    item_id: str
    """Absent where all points are of one item."""
    estimate: "Estimate"
    partial: Literal[True]
    """There when a region is missing from some of the step."""


class _Item(TypedDict):
    rank: int
    item_id: str
    count: int
    """upper; of different values, how many there are, or most likely are."""
    lower: int
    """At least so much was counted."""
    upper: int
    """At most so much was counted."""
    exact: bool
    change: Optional[int]
    """Ranks gained since the window's previous final ranking; null when it was not in it."""


class Item(_Item, total=False):
    estimate: "Estimate"


Group = Dict[str, str]
"""Dimension values; none for the whole board."""


class _Window(TypedDict):
    name: str


class Window(_Window, total=False):
    """
    One of the calendar has no size_ms; one without size_ms and slide_ms is the whole of an input that ends,
    ranked once at its end.
    """
    size_ms: int
    slide_ms: int
    calendar: Literal['hour', 'day', 'week', 'month']
    """Of one of the calendar: the unit that it is of."""
    timezone: str
    """Where that is: a name of the IANA time zone database."""
    rising: List[str]
    """
    There where Redis has what rises in it: previous, or how much earlier the window is that it is compared
    with.
    """


BoardFilter = TypedDict("BoardFilter", {"not": List[Union[str, float, bool]], "prefix": List[str], "exists": bool}, total=False)


class _Board(TypedDict):
    name: str
    k: int
    by: List[str]
    """Its dimensions."""
    filter: Dict[str, Union[List[Union[str, float, bool]], "BoardFilter"]]
    windows: List["Window"]


class Board(_Board, total=False):
    ties: Literal['competition', 'dense']
    """There where rows of equal counts share a rank: 1, 1, 3 (competition) or 1, 1, 2 (dense)."""
    min_count: int
    """There where only items are shown that have at least so much for certain."""
    blocked: int
    """There where the board has a blocklist: how many items it leaves out."""
    distinct: "Distinct"
    retracts: "Retracts"
    since: int
    """
    There where the board came in later than its state was begun: from when on it was counted; milliseconds
    since 1970 UTC.
    """


GroupedBoardFilter = TypedDict("GroupedBoardFilter", {"not": List[Union[str, float, bool]], "prefix": List[str], "exists": bool}, total=False)


class _GroupedBoard(TypedDict):
    name: str
    k: int
    by: List[str]
    """Its dimensions."""
    filter: Dict[str, Union[List[Union[str, float, bool]], "GroupedBoardFilter"]]
    windows: List["Window"]
    groups: List["Group"]
    """The largest first, at most 1000."""
    groups_total: int


class GroupedBoard(_GroupedBoard, total=False):
    ties: Literal['competition', 'dense']
    """There where rows of equal counts share a rank: 1, 1, 3 (competition) or 1, 1, 2 (dense)."""
    min_count: int
    """There where only items are shown that have at least so much for certain."""
    blocked: int
    """There where the board has a blocklist: how many items it leaves out."""
    distinct: "Distinct"
    retracts: "Retracts"
    since: int
    """
    There where the board came in later than its state was begun: from when on it was counted; milliseconds
    since 1970 UTC.
    """


StatusPast = TypedDict("StatusPast", {"from": int, "to": int})


class _Status(TypedDict):
    version: str
    live: bool
    uptime_seconds: float
    now: int
    """Milliseconds since 1970 UTC."""
    source: Optional[str]
    ingest: bool
    """Whether POST /events is taken."""
    past: Optional["StatusPast"]
    """What can be asked for of the past."""


class StatusHeldBy(TypedDict):
    partition: str
    watermark: Optional[int]
    """Milliseconds since 1970 UTC; null before its first event."""
    since: int
    """When its watermark last moved, or when it fell behind, in milliseconds since 1970 UTC."""
    why: Literal['waiting', 'reading', 'silent', 'behind']
    """
    Nothing comes of it and it is not known to be read to its end; what is read of it is not counted, or is no
    newer; it is read to its end, and has not been silent for idle_timeout yet; or it moves, and its events
    are much older than those of another partition.
    """


class StatusPartitions(TypedDict):
    name: str
    watermark: Optional[int]
    """Milliseconds since 1970 UTC; null before its first event."""
    lag_records: int
    """Records that are not read yet."""


class StatusArchive(TypedDict):
    """What this process has archived since its start; absent where nothing is archived."""
    records: int
    blocks: int
    bytes: int
    """Of these blocks, compressed."""
    held_bytes: int
    """Of records that were read and are not archived yet."""
    gap_offsets: int
    """Offsets that the log had let go of before they were archived."""
    failing_since: Optional[int]
    """Since when its store fails, in milliseconds since 1970 UTC."""
    failure: Optional[str]
    held_up: bool
    """Whether the source waits for it, since too much is held."""


class StatusState(TypedDict):
    """What this process has stored since its start; absent where it keeps no state."""
    durable: int
    """All events before this time are in it, in milliseconds since 1970 UTC."""
    commits: int
    bytes: int
    """Written."""
    last_commit: Optional[int]
    """Milliseconds since 1970 UTC; null before the first."""
    failing_since: Optional[int]
    """Since when its store fails, in milliseconds since 1970 UTC."""
    failure: Optional[str]


class StatusRedis(TypedDict):
    to: str
    """Its URL, without secrets."""
    written: int
    """Rankings and buckets."""
    pending: int
    """Rankings and buckets that wait for it."""
    dropped: int
    """Lost, since too many waited."""
    failure: Optional[str]
    """What keeps rankings from being written just now."""


class StatusDeliveries(TypedDict):
    to: str
    """The receiver, without secrets."""
    delivered: int
    refused: int
    """Messages that the receiver refused for good, and that were given up."""
    pending: int
    """Messages that wait for it."""
    pending_bytes: int
    failing_since: Optional[int]
    """Since when it takes nothing, in milliseconds since 1970 UTC."""
    failure: Optional[str]


class Status(_Status, total=False):
    """Counts are of all workers since the start, and absent where no job runs."""
    records: int
    events: int
    events_per_second: float
    late: int
    refused: int
    refused_by_reason: Dict[str, int]
    unmatched: int
    """Good events that no board's filter takes."""
    tombstones: int
    """Records of Kafka without a value, which say only that their key is deleted; they are not refused."""
    without_events: int
    """Records without an element of the array whose elements are the events; they are not refused."""
    boards: Dict[str, "Met"]
    """What each board has met, by its name."""
    watermark: Optional[int]
    """
    The newest of the partitions' watermarks, in milliseconds since 1970 UTC; windows go by the oldest of
    those that are not idle.
    """
    watermark_lag_ms: Optional[int]
    """How far it is behind the clock."""
    held_by: Optional["StatusHeldBy"]
    """
    The partition that all windows wait for, where its watermark has stood still for a pane and 10 s, or has
    been a minute and a pane behind that of another one for so long.
    """
    lag_records: int
    last_record: Optional[int]
    """
    When a record was last read, to about a second, in milliseconds since 1970 UTC; null where none was since
    the start.
    """
    last_event: Optional[int]
    """
    When an event was last counted, to about a second, in milliseconds since 1970 UTC; null where none was
    since the start.
    """
    partitions_total: int
    partitions: List["StatusPartitions"]
    """
    The partitions, at most 1000, those furthest behind first; absent from the status that streams bring.
    """
    open_transactions: Dict[str, int]
    """
    The partitions that wait for the end of a transaction, and since when, in milliseconds since 1970 UTC.
    """
    archive: "StatusArchive"
    """What this process has archived since its start; absent where nothing is archived."""
    state: "StatusState"
    """What this process has stored since its start; absent where it keeps no state."""
    redis: List["StatusRedis"]
    """Each Redis in which this process publishes, since the start; absent where there is none."""
    deliveries: List["StatusDeliveries"]
    """What was delivered to topics and webhooks since the start; absent where there are none."""


class MetUnseen(TypedDict):
    name: str
    """The field; under the key weights, the event type."""
    key: Literal['item', 'filter', 'by', 'weight', 'weights']


class _Met(TypedDict):
    matched: int
    """Events that the board's filter took, late ones among them."""
    without_item: int
    """Of these, without an item that can be used."""
    without_weight: int
    """Of these, with an item and without a weight that can be used."""
    unseen: List["MetUnseen"]
    """The configured fields that no event had; beside the filter's, no event that the board took."""
    why_empty: Optional[str]
    """Why the board has counted nothing of what was read, where that is so."""


class Met(_Met, total=False):
    without_value: int
    """
    Of a board that counts different values: of these, with an item and without a value that can be used.
    """


class Ready(TypedDict):
    ready: bool
    checks: Dict[str, str]
    """ok, or what is wrong."""


Event = Dict[str, Any]
"""Of any fields; the job's schema says where its item, type, time and weight are."""


class _Accepted(TypedDict):
    message: Literal['Event queued for processing']
    accepted: int


class Accepted(_Accepted, total=False):
    late: int
    """
    So many of them at least will not be counted: of a time that the job had passed in all partitions. Absent
    where it is none, and on a server without a job, which cannot know.
    """
    unmatched: int
    """
    So many of them no board's filter takes, or have no event where the elements of an array are the events;
    absent where it is none.
    """


class Error(TypedDict):
    error: str


class _Wrong(TypedDict):
    error: str


class Wrong(_Wrong, total=False):
    index: int
    """Of the event, from 0."""
    element: int
    """Of the event's array, where its elements are the events."""
    field: Optional[str]
    reason: str


class _Missing(TypedDict):
    error: str


class Missing(_Missing, total=False):
    boards: List[str]
    windows: List[str]
    groups: List["Group"]
    """Of an item's group that is not among the board's: the largest of those that are, at most 100."""


class NotHeldKept(TypedDict):
    from_ms: int
    """Milliseconds since 1970 UTC."""
    to_ms: int
    """Milliseconds since 1970 UTC."""


class NotHeld(TypedDict):
    error: str
    kept: List["NotHeldKept"]
