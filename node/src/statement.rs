//! What a node says of its last checkpoint: which it is, who certifies it, and what stood in it.

use std::sync::Arc;

use tallystick_kernel::{AccountId, BlockId, Digest, Reason, TimeMs};
use tallystick_ledger::{Place, genesis_header};
use tallystick_proofs::finality::FinalityCertificate;
use tallystick_proofs::header::Header;
use tallystick_proofs::receipt::DESCENDANTS_MAX;
use tallystick_proofs::state_proof::StateProof;
use tallystick_proofs::state_statement::StateStatement;

use crate::archive;
use crate::core::Core;
use crate::handle::NodeHandle;
use crate::kv::View;
use crate::window;

/// The last checkpoint that a node has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointStatus {
    /// Its height.
    pub height: u64,
    /// Its root.
    pub root: Digest,
    /// The block of its height.
    pub block: BlockId,
    /// That block's time.
    pub time: TimeMs,
    /// The first height whose header holds the root.
    pub reported_in: Option<u64>,
    /// The height whose certificate makes that header final.
    pub certified_in: Option<u64>,
}

/// The first header that holds a checkpoint's root, and what makes it final.
struct Report {
    header: Header,
    descendants: Vec<Header>,
    finality: Option<FinalityCertificate>,
}

/// Storage, and what it stands at.
struct Standing {
    view: Arc<dyn View>,
    checkpoint: (u64, Digest),
    height: u64,
    interval: u64,
}

impl Standing {
    /// Of the checkpoint with this root; storage may not have its block yet.
    fn of(core: &Core, checkpoint: (u64, Digest)) -> Standing {
        Standing {
            view: core.kv.view(),
            checkpoint,
            height: core.tip.height,
            interval: core.genesis.parameters.checkpoint_interval,
        }
    }

    /// None while no executed header holds the root.
    fn report(&self) -> Result<Option<Report>, Reason> {
        let (view, from) = (self.view.as_ref(), self.checkpoint.0);
        let holds =
            |header: &Header| (from..from + self.interval).contains(&header.executed_height);
        let mut report: Option<Report> = None;
        for height in from + 1..=self.height {
            let header = window::header(view, height)?;
            match &mut report {
                None if !holds(&header) => continue,
                None => {
                    report = Some(Report { header, descendants: Vec::new(), finality: None });
                }
                Some(report) if report.descendants.len() < DESCENDANTS_MAX => {
                    report.descendants.push(header);
                }
                Some(_) => break,
            }
            if let (Some(report), Some(finality)) =
                (&mut report, archive::certificate(view, height)?)
            {
                report.finality = Some(finality);
                break;
            }
        }
        Ok(report)
    }
}

impl NodeHandle {
    /// The last checkpoint that this node has taken.
    pub fn checkpoint(&self) -> Result<CheckpointStatus, Reason> {
        let (standing, genesis) = {
            let core = self.shared.core();
            let written = (core.checkpoint_height(), core.checkpoint_root());
            (Standing::of(&core, written), Arc::clone(&core.genesis))
        };
        let (height, root) = standing.checkpoint;
        let header = match height {
            0 => genesis_header(&genesis),
            height => window::header(standing.view.as_ref(), height)?,
        };
        let report = standing.report()?;
        let certified_in = report.as_ref().and_then(|report| {
            report.finality.as_ref()?;
            Some(report.header.height + report.descendants.len() as u64)
        });
        Ok(CheckpointStatus {
            height,
            root,
            block: header.id(),
            time: header.time,
            reported_in: report.map(|report| report.header.height),
            certified_in,
        })
    }

    /// What an account was and what it could spend freely at the last checkpoint, or that it was not
    /// there. Its reserves are not in it.
    ///
    /// [`Reason::NotReady`] until a certified header holds the checkpoint's root, which takes a few
    /// blocks, and after a start until the next checkpoint.
    pub fn account_statement(&self, id: &AccountId) -> Result<StateStatement, Reason> {
        let (proofs, standing) = {
            let core = self.shared.core();
            let currencies = core.state.currencies().map(|(code, _)| Place::Balance(*id, *code));
            let places = std::iter::once(Place::Account(*id)).chain(currencies);
            let proofs = places.map(|place| core.state.proof(&place));
            let proofs = proofs.collect::<Result<Vec<StateProof>, Reason>>()?;
            let head = core.state.head();
            (proofs, Standing::of(&core, (head.checkpoint_height, head.checkpoint_root)))
        };
        let Report { header, descendants, finality } =
            standing.report()?.ok_or(Reason::NotReady)?;
        let finality = finality.ok_or(Reason::NotReady)?;
        let changes = archive::set_changes(standing.view.as_ref(), finality.epoch)?;
        let changes = changes.ok_or(Reason::NotReady)?;
        Ok(StateStatement { proofs, header, descendants, finality, changes })
    }
}
