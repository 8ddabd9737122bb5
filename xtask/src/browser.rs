//! The pages, used by a real browser: a payment from the operator's funding to a verified receipt,
//! what must be refused on the way, and barriers to people on every page.

mod axe;
mod camera;
mod proof;
mod stage;
mod story;
mod webdriver;

use std::path::Path;

use crate::gate::Tally;
use crate::network::beside_a_network;
use crate::repository;

use stage::Stage;
use webdriver::Driver;

/// Set to have the pictures of the documentation taken anew.
const WRITE: &str = "TALLYSTICK_WRITE";

/// Tells the story; each thing that must be so is a check.
pub fn run(root: &Path) -> Tally {
    examine(root).unwrap_or_else(|cause| {
        println!("browser: {cause}");
        Tally::one(false)
    })
}

fn examine(root: &Path) -> Result<Tally, String> {
    let axe = axe::script(root)?;
    let driver = Driver::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let pictures = std::env::var_os(WRITE).map(|_| root.join("docs/pictures"));
    beside_a_network(&repository::target(root)?, &[], |folder| {
        runtime.block_on(async {
            let stage = match Stage::new(folder, &driver, &axe, pictures) {
                Ok(stage) => stage,
                Err(cause) => {
                    println!("browser: {cause}");
                    return Tally::one(false);
                }
            };
            let told = story::tell(&stage).await;
            driver.close_all().await;
            let mut tally = stage.tally();
            if let Err(cause) = told {
                println!("browser: {cause}");
                tally.add(Tally::one(false));
            }
            tally
        })
    })
}
