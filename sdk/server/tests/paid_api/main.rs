//! What a paid route does and never does, with a verifier that misbehaves by script.

#[cfg(test)]
mod asking;
#[cfg(test)]
mod offline;
#[cfg(test)]
mod redeeming;
#[cfg(test)]
mod repeating;
#[cfg(test)]
mod stand_in;
