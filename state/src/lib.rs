//! Durable state: what survives a kill at any instant, and how a run goes on from what an earlier one left.
//!
//! **In**: the digests of closed panes, how far all workers are, and how far the windows are published. **Out**:
//! the pane up to which everything is in the store, which the windows wait for. **Always holds**: the manifest
//! names a pane only after its object is in the store, and moves the durable frontier and the replay offsets in
//! one step; a record is counted in a durable pane or read again, never both. **Costs**: an object a pane, and a
//! manifest for all panes that closed meanwhile; nothing per event.
//!
//! - What a job is: [`spec`], and [`check`], which refuses what cannot run; [`pane`] and [`levels`], the time pyramid;
//!   [`rest`], what a block says of groups that it does not list; [`pyramid`], which builds rollups as panes close.
//! - What is stored: [`manifest`], which names each [`object`] through its [`block_index`] and holds the [`replay`]
//!   positions; `identity`, what two runs on one state must share.
//! - A run: [`job_state`] opens and claims a state, [`commit_queue`] takes closed panes, [`committer`] writes them through
//!   [`object_writer`] and [`manifest_writer`], [`monitor`] is what it sees of its job; [`restore`] loads what windows
//!   need through [`blocks`] and [`decoders`], [`repair`] builds missing rollups, [`retention`] lets blocks expire.
//! - A backfill: [`plan`] says which panes it counts, and [`backfill`] puts them in the place of the old ones.
//! - From outside: [`history`] ranks past intervals, [`inspect`] reports what is stored, [`stored`] reads it block by
//!   block. [`orphans`] finds objects without a manifest; [`mend`] says which events bring a damaged object back.
//! - [`error`]: why a state was refused, or failed while a job ran.

mod backfill;
mod block_index;
mod blocks;
pub mod check;
mod claim;
pub mod commit_queue;
mod committer;
mod decoders;
pub mod error;
pub mod history;
mod identity;
pub mod inspect;
pub mod job_state;
pub mod levels;
pub mod manifest;
mod manifest_writer;
pub mod mend;
pub mod monitor;
pub mod object;
mod object_writer;
mod orphans;
pub mod pane;
mod plan;
pub mod pyramid;
mod repair;
pub mod replay;
pub mod rest;
pub mod restore;
pub mod retention;
mod retry;
mod spans;
pub mod spec;
pub mod stored;
