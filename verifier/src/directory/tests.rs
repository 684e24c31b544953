use x402_service::clock;

use super::*;
use crate::samples::{directory, provider, signer};

const TERMS: Terms = Terms {
    per_second: std::num::NonZeroU32::MIN,
    concurrent: 1,
};

#[test]
fn only_a_provider_key_of_the_directory_is_a_provider() {
    let (entry, key) = provider("prov_1", &[]);
    let (_, other) = provider("prov_2", &[]);
    let known = Known::of(
        directory(1, &signer(1), vec![entry]),
        &HashMap::new(),
        TERMS,
    );
    assert_eq!(known.provider(&key, clock::now).unwrap().id, "prov_1");
    assert!(known.provider(&other, clock::now).is_none());
    // The right id with another secret, and the right secret as another kind of key.
    let secret = |key: &ApiKey| key.expose().rsplit('_').next().unwrap().to_owned();
    let forged = key.expose().replace(&secret(&key), &secret(&other));
    assert!(
        known
            .provider(&forged.parse().unwrap(), clock::now)
            .is_none()
    );
    let raised = key.expose().replace("_provider_", "_agent_");
    assert!(
        known
            .provider(&raised.parse().unwrap(), clock::now)
            .is_none()
    );
}

#[test]
fn a_directory_counts_for_its_lease_from_the_question() {
    let view = DirectoryView::new(TERMS);
    let asked_at = Instant::now();
    assert_eq!(view.current(asked_at).err(), Some(Stale));
    assert!(view.accept(directory(1, &signer(1), Vec::new()), asked_at));
    let end = asked_at + LEASE;
    assert!(view.current(end - Duration::from_millis(1)).is_ok());
    assert_eq!(view.current(end).err(), Some(Stale));
    // Unchanged, but asked for again: counts again.
    assert!(!view.accept(directory(1, &signer(1), Vec::new()), end));
    assert!(view.current(end).is_ok());
}

#[test]
fn a_revocation_holds_as_soon_as_it_arrives() {
    let view = DirectoryView::new(TERMS);
    let now = Instant::now();
    let (entry, key) = provider("prov_1", &[]);
    view.accept(directory(1, &signer(1), vec![entry]), now);
    assert!(
        view.current(now)
            .unwrap()
            .provider(&key, clock::now)
            .is_some()
    );
    view.accept(directory(2, &signer(1), Vec::new()), now);
    assert!(
        view.current(now)
            .unwrap()
            .provider(&key, clock::now)
            .is_none()
    );
}

#[test]
fn a_use_is_taken_once_and_outlives_a_change_of_the_directory() {
    let view = DirectoryView::new(TERMS);
    let now = Instant::now();
    let (entry, key) = provider("prov_1", &[]);
    let (other, _) = provider("prov_2", &[]);
    let entries = vec![entry, other];
    view.accept(directory(1, &signer(1), entries.clone()), now);
    assert!(view.take_used().is_empty());
    let asked = || {
        view.current(now)
            .unwrap()
            .provider(&key, clock::now)
            .is_some()
    };
    assert!(asked() && asked());
    view.accept(directory(2, &signer(1), entries), now);
    assert_eq!(view.take_used(), [key.key_id()]);
    assert!(view.take_used().is_empty());
    view.mark_used(&[key.key_id().to_owned()]);
    assert_eq!(view.take_used(), [key.key_id()]);
}

#[test]
fn a_replaced_key_ends_by_itself_with_no_word_from_the_gateway() {
    let (mut entry, old) = provider("prov_1", &[]);
    let (replacement, new) = provider("prov_1", &[]);
    let end: Timestamp = "2026-11-23T04:00:00Z".parse().unwrap();
    entry.keys[0].ends_at = Some(end);
    entry.keys.extend(replacement.keys);
    let directory = directory(1, &signer(1), vec![entry]);
    let known = Known::of(directory, &HashMap::new(), TERMS);
    let just_before = end - Duration::from_millis(1);
    for (now, lives) in [(just_before, true), (end, false)] {
        assert_eq!(known.provider(&old, || now).is_some(), lives);
        assert!(known.provider(&new, || now).is_some());
    }
}

#[test]
fn a_change_of_the_directory_gives_nobody_a_new_rate() {
    let view = DirectoryView::new(TERMS);
    let now = Instant::now();
    let (entry, key) = provider("prov_1", &[]);
    view.accept(directory(1, &signer(1), vec![entry.clone()]), now);
    let before = Arc::clone(
        view.current(now)
            .unwrap()
            .provider(&key, clock::now)
            .unwrap(),
    );
    assert!(before.lane.take(1_000).is_ok());
    view.accept(directory(2, &signer(1), vec![entry]), now);
    let after = Arc::clone(
        view.current(now)
            .unwrap()
            .provider(&key, clock::now)
            .unwrap(),
    );
    assert!(after.lane.take(1_000).is_err());
}
