//! Durable state: it survives a kill at any instant, and a run goes on from the state that an earlier one left.
//!
//! **In**: the digests of closed panes, how far all workers are, and how far the windows are published. **Out**: the
//! durable frontier, before which nothing is final. **Always holds**: the manifest names a pane only after its object is
//! in the store, and moves the durable frontier and the replay positions in one step. A record is counted in a durable
//! pane or read again, never both. **Costs**: one object per pane, and one manifest per commit, for all panes that
//! closed since the last one; nothing per event.
//!
//! - A job: [`spec`] is what it computes, with each [`duration`] as text and conditions as [`filter`]s, [`fields`] says
//!   where its boards find their fields, and [`check`] refuses what cannot run. [`pane`]
//!   and [`levels`] are the time pyramid, [`rest`] bounds groups that a block does not list, [`rollup`] says what
//!   a rollup is, and [`pyramid`] builds them as panes close.
//! - The store: [`manifest`] names each [`object`] through its [`block_index`] and has the [`replay`] positions.
//!   [`identity`] is what a job counts, [`changes`] what
//!   two runs on one state may differ in, and [`manifest_boards`] since when each board is counted.
//! - A run: [`job_state`] opens a state and has it claimed by [`claim`], [`commit_queue`] takes closed panes, and
//!   [`committer`] writes them through [`object_writer`] and [`manifest_writer`]. [`retry`] repeats calls of a store
//!   that fails, and [`monitor`] is the committer's view of the workers. [`restore`] loads the blocks that windows need
//!   through [`blocks`] and [`decoders`], [`repair`] builds missing rollups, and [`retention`] lets blocks expire.
//! - A job that lives shows it by its [`heartbeat`], [`standby`] sees when it does no longer, and the [`lease`] keeps one
//!   that was taken over from publishing.
//! - What a job counts is its [`input`]. Where these are the states of several regions, [`region`] is such a state and what it must have in common with the job,
//!   [`region_feed`] hands on its closed panes, and [`missing`] says which panes were ranked without a region.
//! - A backfill: [`plan`] says which panes it counts, and [`backfill`] replaces the old blocks by the new ones. It and
//!   [`repair`] build rollups in [`settle`]. Where it is of one board, [`one_board`] keeps what is stored of the others.
//! - What is stored of a board that is there no more is removed by [`drop_board`], unless it goes with its retention.
//! - Readers: [`history`] ranks past intervals, [`histories`] those of several states as of one, [`series`]
//!   divides them into points, [`rises`] compares them with what was before, [`against`] which that is, [`inspect`] reports and verifies what is stored, and [`stored`] reads
//!   it block by block. [`orphans`] finds objects without a manifest, and [`mend`] says which panes to count again
//!   where an object is damaged.
//! - [`error`]: why a state is refused, or fails while a job runs.

pub mod against;
mod backfill;
mod block_index;
pub mod blocklist;
mod blocks;
pub mod calendar;
mod changes;
pub mod check;
mod claim;
pub mod commit_queue;
mod committer;
mod decoders;
mod digest_sum;
pub mod drop_board;
mod duration;
pub mod error;
pub mod fields;
mod filter;
mod heartbeat;
pub mod histories;
pub mod history;
mod identity;
pub mod input;
pub mod inspect;
pub mod job_state;
mod kept_rows;
mod lease;
pub mod levels;
pub mod look;
pub mod manifest;
mod manifest_boards;
mod manifest_writer;
pub mod mend;
pub mod missing;
pub mod monitor;
pub mod object;
mod object_writer;
mod one_board;
mod orphans;
pub mod pane;
mod plan;
pub mod pyramid;
pub mod reach;
pub mod region;
pub mod region_feed;
pub mod removed;
mod repair;
pub mod replay;
pub mod rest;
pub mod restore;
pub mod retention;
mod retry;
pub mod rises;
pub mod rollup;
pub mod series;
mod settle;
pub mod spans;
pub mod spec;
mod spec_error;
pub mod standby;
pub mod stored;
pub mod top;
mod window_spec;
