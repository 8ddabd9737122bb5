//! `rules_activate`: the operators decide from which height on the next rules are in force.

use tallystick_kernel::Reason;
use tallystick_proofs::transaction::Transaction;

use crate::actions::check_operators;
use crate::stage::Stage;

/// Returns, in this order: the reasons of `check_operators`, [`Reason::RulesNotNext`],
/// [`Reason::ActivationTooSoon`].
///
/// A node that does not know the version records the decision all the same: it stops before the
/// first block that would follow it.
pub(crate) fn apply(
    stage: &mut Stage<'_>,
    transaction: &Transaction,
    version: u64,
    height: u64,
) -> Result<(), Reason> {
    check_operators(stage, transaction)?;
    let (last_version, last_height) = stage.governance().last_rules();
    if version != last_version.saturating_add(1) || height <= last_height {
        return Err(Reason::RulesNotNext);
    }
    let parameters = &stage.chain().parameters;
    if height < parameters.first_of(parameters.effective_epoch(stage.height())) {
        return Err(Reason::ActivationTooSoon);
    }
    stage.decide_rules(height, version);
    Ok(())
}
