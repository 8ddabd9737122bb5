//! Tests of the formats that the ledger signs, hashes and sends.

#[cfg(test)]
mod checks;
#[cfg(test)]
mod console;
#[cfg(test)]
mod decoding;
#[cfg(test)]
mod frozen;
#[cfg(test)]
mod receipts;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod validator_changes;
