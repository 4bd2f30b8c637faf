//! Event time, pane sketches, exchange, merge, windows and top K.
