//! The deterministic state machine: actions, admission, pre-block, execution, receipts, conservation.
