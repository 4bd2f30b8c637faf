// Why events are not counted: what each reason means, and what to do about it. Words of the configuration stand in backquotes.

const TRY = "`crest try SOURCE` finds what fits.";

/** By their names in a status: what it is in a few words, what that means, and what to do. */
const REASONS = {
  late: [
    "late",
    "Their time was over already: newer events of the same partition had come.",
    "If they are merely out of order, raise `out_of_orderness` in `[time]`. Else look whether `timestamp` is the time of the event.",
  ],
  unmatched: [
    "on no board",
    "They are good events, and no board's filter takes them.",
    "Compare the filter with the fields that the events have. " + TRY,
  ],
  malformed: [
    "malformed",
    "They are not objects of JSON, or not of the source's format.",
    "Set the format of the source. " + TRY,
  ],
  invalid_utf8: ["not UTF-8", "They are not text in UTF-8.", "Set the format of the source, or look at what sends them."],
  too_long: ["too long", "They are longer than 1 MiB.", "Send smaller records."],
  item: [
    "without an item",
    "The field of the item is missing, empty, an object or an array.",
    "Set `item` in `[schema]`, or of the board, to a field that the events have. " + TRY,
  ],
  item_too_long: ["with too long an item", "The id is longer than 1024 bytes.", "Name another field as the item."],
  timestamp: [
    "without a time",
    "The field of the time is missing, or has no time of the years 1970 to 2099.",
    "Set `timestamp` in `[schema]` to a field that has the time of the event. " + TRY,
  ],
  weight: [
    "without a weight",
    "The field of the weight is missing, or not a number in its bounds.",
    "Set `weight` in `[schema]` to a field that has one.",
  ],
  distinct: [
    "without a value",
    "The field whose different values are counted is missing, empty, an object or an array.",
    "Set `count = { distinct = … }` of the board to a field that the events have.",
  ],
  future: [
    "of the future",
    "Their time is ahead of the time at which they came by more than `max_future_skew` allows.",
    "Look at the clock or the time zone of the sender.",
  ],
  before_partition: [
    "older than their partition",
    "Their partition came in when their time was over already.",
    "`crest backfill` counts them.",
  ],
  schema: [
    "of an unknown schema",
    "The schema of the record is unknown, or cannot be used.",
    "Look at the schemas that the source is given.",
  ],
  tombstones: ["deletions", "They say only that their key is deleted.", "Nothing: they are no events."],
  without_events: [
    "without an event",
    "The array whose elements are the events is missing or empty.",
    "Set `each` in `[schema]` to the field that has the array.",
  ],
};

/** What a reason is, what it means, and what to do; a reason that is not known here by its name. */
export const reasonOf = (name) => REASONS[name] ?? [name.replaceAll("_", " "), "", ""];

/** Why records were not counted, the most frequent reason first: its name and how many. */
export function losses(status) {
  const { late, unmatched, tombstones, without_events, refused_by_reason: refused } = status;
  const all = Object.entries({ late, unmatched, tombstones, without_events, ...refused });
  return all.filter(([, count]) => count > 0).sort(([, a], [, b]) => b - a);
}
