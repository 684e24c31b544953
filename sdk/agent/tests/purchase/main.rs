//! What a purchase does and never does, against a provider and a gateway that misbehave by script.

#[cfg(test)]
mod asking;
#[cfg(test)]
mod paying;
#[cfg(test)]
mod redeeming;
#[cfg(test)]
mod stand_in;
