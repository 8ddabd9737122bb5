//! `validators_change`: the operators decide who the validators are, two epochs ahead.

use tallystick_kernel::{Reason, TransactionId};
use tallystick_proofs::genesis::ValidatorSet;
use tallystick_proofs::transaction::Transaction;

use crate::actions::check_operators;
use crate::governance::DecidedSet;
use crate::stage::Stage;

/// Returns, in this order: the reasons of `check_operators`, [`Reason::ChangePending`].
///
/// A second decision in one epoch is refused rather than taking the first one's place: the receipt
/// of each is then proof of the set of its epochs.
pub(crate) fn apply(
    stage: &mut Stage<'_>,
    id: &TransactionId,
    transaction: &Transaction,
    validators: &ValidatorSet,
) -> Result<(), Reason> {
    check_operators(stage, transaction)?;
    let epoch = stage.chain().parameters.effective_epoch(stage.height());
    if stage.governance().sets.contains_key(&epoch) {
        return Err(Reason::ChangePending);
    }
    let set = DecidedSet { validators: validators.clone(), decided_by: Some(*id) };
    stage.decide_set(epoch, set);
    Ok(())
}
