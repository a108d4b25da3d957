//! Endpoints with what belongs to them: health, secrets, headers, credentials.

use std::{sync::Arc, time::Duration};

use super::{House, OTHER, TENANT, TEXTS, at, reads, sorted, writes};
use crate::{
    model::{
        Activation, Backlog, Begin, ClientCertificate, Credentials, CustomHeader, DeliveryPolicy, DisableReason, Drain,
        DrainRate, Endpoint, EndpointKey, EndpointSettings, EndpointStatus, EventKey, HttpCredentials, OAuth2Client,
        RetrySchedule, Secret, SecretKey, SecretPlacement, Style, TypeFilter,
    },
    signing::{self, KeyForm},
    store::{Health, Keyring, SealedSecret, Warning, credentials, endpoint, header, health, secret},
};

pub(super) async fn run(house: &mut House) {
    endpoints(house).await;
    secrets(house).await;
    headers(house).await;
    credentials(house).await;
}

fn an_endpoint(number: i64, text: &str, status: EndpointStatus) -> Endpoint {
    let retry = if number % 2 == 0 {
        RetrySchedule::Delays(vec![Duration::from_millis(1), Duration::from_secs(86_400)])
    } else {
        RetrySchedule::Exponential {
            initial: Duration::from_secs(1),
            multiplier: 1.5,
            max_delay: Duration::from_secs(60),
            max_attempts: 9,
        }
    };
    Endpoint {
        key: EndpointKey(number),
        tenant: if number < 5 { TENANT } else { OTHER },
        settings: EndpointSettings {
            display_name: text.to_owned(),
            description: text.repeat(3),
            labels: TEXTS[..4].iter().map(|key| ((*key).to_owned(), text.to_owned())).collect(),
            url: "https://example.com/h?x=%00&y=ä".parse().unwrap(),
            filter: TypeFilter::parse(&["a.*".to_owned(), "b".to_owned()]).unwrap(),
            style: Style::default(),
            header_names: TEXTS[3..].iter().map(|text| (*text).to_owned()).collect(),
            credentials: some_credentials(text).summary(),
            policy: DeliveryPolicy { retry: Some(retry), ..DeliveryPolicy::default() }.into(),
        },
        status,
        backlog: Arc::default(),
        generation: number,
        version: 10 + number,
        created: at(number),
        updated: at(i64::MAX),
    }
}

async fn endpoints(house: &mut House) {
    let disabled = EndpointStatus::Disabled { reason: DisableReason::Gone, since: at(77) };
    for (number, text) in (1..).zip(TEXTS) {
        let status = if number == 2 { disabled } else { EndpointStatus::Enabled };
        let new = an_endpoint(number, text, status);
        writes!(house, tx, endpoint::insert(tx, &new).await?);
    }
    let again = an_endpoint(1, "again", EndpointStatus::Enabled);
    writes!(house, tx, endpoint::insert(tx, &again).await?);
    let changed = Endpoint { version: 30, ..an_endpoint(3, "changed", disabled) };
    writes!(house, tx, endpoint::update(tx, &changed, true).await?);
    let activation = |time| Activation { at: at(time), last_event: EventKey(time * 10) };
    let backlog = Backlog {
        held_since: Some(at(5)),
        drain: Some(Drain { rate: DrainRate::per_second(0.5).unwrap(), activation: activation(6) }),
        skipped: Some(activation(7)),
        skipping: true,
    };
    let paused = EndpointStatus::Paused { since: at(78) };
    let paused = Endpoint { version: 30, backlog: backlog.into(), ..an_endpoint(1, "paused", paused) };
    writes!(house, tx, endpoint::update(tx, &paused, true).await?);
    reads!(house, conn, endpoint::get(conn, TENANT, EndpointKey(1)).await?);
    let after = Backlog { skipping: false, held_since: None, ..backlog };
    writes!(house, tx, endpoint::set_backlog(tx, EndpointKey(1), &after).await?);
    let renamed = Endpoint { version: 31, ..an_endpoint(4, "renamed", EndpointStatus::Deleted) };
    writes!(house, tx, endpoint::update(tx, &renamed, false).await?);
    for number in 1..=7 {
        reads!(house, conn, endpoint::get(conn, TENANT, EndpointKey(number)).await?);
    }
    for (after, limit) in [(0, 2), (2, 100)] {
        reads!(house, conn, {
            let listed = endpoint::list(conn, TENANT, after, limit).await?;
            let told: Vec<_> = listed.iter().map(|one| (one.key(), one.text_bytes(), one.url().to_owned())).collect();
            let read = |one: endpoint::ListedEndpoint| Ok((one.status()?, one.labels()?, one.filter()?, one.read()?));
            (told, listed.into_iter().map(read).collect::<super::Result<Vec<_>>>()?)
        });
    }
    reads!(house, conn, endpoint::load(conn, 0, 100).await?);
    for cfg in [0, 12, 29, 30, 31] {
        reads!(house, conn, endpoint::versions_at(conn, TENANT, cfg, EndpointKey(0), 100).await?);
    }
    reads!(house, conn, endpoint::versions_at(conn, TENANT, 100, EndpointKey(1), 2).await?);

    let failing = Health { generation: 1, failing_since: at(5), dead_in_row: 0, warning: None };
    writes!(house, tx, health::set_failing(tx, EndpointKey(1), failing).await?);
    let warning = Some(Warning { reason: DisableReason::DeadInARow, at: at(9) });
    let again = Health { generation: 2, failing_since: at(6), dead_in_row: 7, warning };
    writes!(house, tx, health::set_failing(tx, EndpointKey(1), again).await?);
    writes!(house, tx, health::set_failing(tx, EndpointKey(2), failing).await?);
    writes!(house, tx, health::clear(tx, EndpointKey(2)).await?);
    reads!(house, conn, health::all(conn).await?);
}

fn opened(keyring: &Keyring, sealed: Vec<SealedSecret>) -> super::Result<Vec<(EndpointKey, Secret)>> {
    sealed.into_iter().map(|secret| Ok((secret.endpoint(), secret.open(keyring)?))).collect()
}

async fn secrets(house: &mut House) {
    let value = Arc::new(signing::Secret::generate(KeyForm::Base64));
    for (number, expires) in [(1, Some(at(10))), (2, Some(at(20))), (3, None)] {
        let (keyring, value) = (house.shared.keyring.clone(), value.clone());
        let begins = if number == 2 { Begin::OnActivation } else { Begin::Created };
        let new = Secret { key: SecretKey(number), scheme: "ä".into(), value, created: at(number), begins, expires };
        writes!(house, tx, secret::insert(tx, &keyring, TENANT, EndpointKey(1 + number / 3), &new).await?);
    }
    let load = |first, last| (house.shared.keyring.clone(), EndpointKey(first), EndpointKey(last), value.clone());
    let (all, second) = (load(0, 9), load(2, 2));
    writes!(house, tx, secret::set_expiry(tx, SecretKey(2), at(30)).await?);
    writes!(house, tx, secret::set_begin(tx, SecretKey(3), Begin::At(at(40))).await?);
    for (keyring, first, last, value) in [all.clone(), second] {
        reads!(house, conn, {
            let found = opened(&keyring, secret::load(conn, first, last).await?)?;
            assert!(found.iter().all(|(_, secret)| secret.value.expose() == value.expose()));
            found
        });
    }
    writes!(house, tx, secret::delete_expired(tx, EndpointKey(1), at(10)).await?);
    writes!(house, tx, secret::clear_expiry(tx, SecretKey(2)).await?);
    let (keyring, first, last, _) = all.clone();
    reads!(house, conn, opened(&keyring, secret::load(conn, first, last).await?)?);
    writes!(house, tx, secret::delete(tx, SecretKey(2)).await?);
    writes!(house, tx, secret::delete_all(tx, EndpointKey(2)).await?);
    let (keyring, first, last, _) = all;
    reads!(house, conn, opened(&keyring, secret::load(conn, first, last).await?)?);
}

async fn headers(house: &mut House) {
    let headers = TEXTS.map(|text| CustomHeader { name: format!("x-{text}"), value: text.to_owned().into() }).to_vec();
    for (number, count) in [(1, 2), (2, 6), (1, 1), (3, 3), (3, 0)] {
        let (keyring, some) = (house.shared.keyring.clone(), headers[..count].to_vec());
        writes!(house, tx, header::replace(tx, &keyring, TENANT, EndpointKey(number), &some).await?);
    }
    writes!(house, tx, header::delete(tx, EndpointKey(9)).await?);
    let keyring = house.shared.keyring.clone();
    reads!(house, conn, {
        let loaded = header::load(conn, &keyring, EndpointKey(1), EndpointKey(9)).await?;
        let plain = |(key, headers): (EndpointKey, Vec<CustomHeader>)| {
            (key, headers.into_iter().map(|header| (header.name, header.value.to_string())).collect::<Vec<_>>())
        };
        sorted(loaded.into_iter().map(plain).collect())
    });
}

/// Credentials of every kind, by a text.
fn some_credentials(text: &str) -> Credentials {
    let secret = || text.to_owned().into();
    let http = match text.len() {
        0 => None,
        1 => Some(HttpCredentials::Basic { username: text.to_owned(), password: secret() }),
        2..=6 => Some(HttpCredentials::Bearer(secret())),
        _ => Some(HttpCredentials::OAuth2(OAuth2Client {
            token_url: "https://auth.example/t?x=%00".parse().unwrap(),
            client_id: text.to_owned(),
            client_secret: secret(),
            scopes: TEXTS.map(str::to_owned).to_vec(),
            placement: SecretPlacement::Body,
        })),
    };
    let certificate = ClientCertificate { chain: text.repeat(2), key: secret(), fingerprint: [0xa5; 32] };
    Credentials { http, certificate: (text.len() != 1).then_some(certificate) }
}

async fn credentials(house: &mut House) {
    let texts = [(1, TEXTS[1]), (2, TEXTS[3]), (3, TEXTS[4]), (4, TEXTS[5]), (1, TEXTS[5]), (5, TEXTS[0])];
    for (number, text) in texts {
        let (keyring, some) = (house.shared.keyring.clone(), some_credentials(text));
        writes!(house, tx, credentials::replace(tx, &keyring, TENANT, EndpointKey(number), &some).await?);
    }
    let keyring = house.shared.keyring.clone();
    writes!(house, tx, credentials::replace(tx, &keyring, TENANT, EndpointKey(2), &Credentials::default()).await?);
    writes!(house, tx, credentials::delete(tx, EndpointKey(3)).await?);
    let keyring = house.shared.keyring.clone();
    reads!(house, conn, {
        let loaded = credentials::load(conn, &keyring, EndpointKey(1), EndpointKey(9)).await?;
        let expected = [(1, TEXTS[5]), (4, TEXTS[5]), (5, TEXTS[0])];
        assert_eq!(loaded, expected.map(|(number, text)| (EndpointKey(number), some_credentials(text))).into());
        sorted(loaded.into_iter().collect())
    });
}
