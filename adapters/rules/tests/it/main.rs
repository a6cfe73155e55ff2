//! One test binary: cases as data, refused policy files, and random stays against a second adjudicator.

#[cfg(test)]
mod asked;
#[cfg(test)]
mod assessed;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod random;
#[cfg(test)]
mod recompute;
#[cfg(test)]
mod said;
#[cfg(test)]
mod second;
#[cfg(test)]
mod spoilt;
#[cfg(test)]
mod strategies;
#[cfg(test)]
mod walk;
