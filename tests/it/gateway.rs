//! The gateway with a scripted carrier, a store in memory and a clock that stands still until it is moved.

mod calls;
mod carrier;
mod carriers;
mod creates;
mod faults;
pub(crate) mod faulty;
mod history;
mod limits;
mod reports;
mod secrets;
mod world;
