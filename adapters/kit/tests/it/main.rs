//! The kit from outside: the service over a payer, the simulated payer, and the kit that certifies adapters, which
//! is certified itself.

#[cfg(test)]
mod book;
#[cfg(test)]
mod bridge;
#[cfg(test)]
mod certificates;
#[cfg(test)]
mod certified;
#[cfg(test)]
mod door;
#[cfg(test)]
mod insurer;
#[cfg(test)]
mod python;
#[cfg(test)]
mod said;
#[cfg(test)]
mod simulator;
