//! What is refused at the beginning, and what is made only once.

use std::{collections::BTreeSet, time::Duration};

use ringproof::{
    gateway::{AlternateRequest, CallsQuery, Client, CreateRequest, Refusal, VerificationsQuery},
    outcome::{Mode, Purpose, Status},
};

use super::world::{World, client, request};

fn rival() -> Client {
    Client { name: String::from("rival") }
}

/// One member changed; the code of the refusal and the member it names.
#[tokio::test]
async fn members_out_of_range() {
    let world = World::new().await;
    let text = |length: usize| Some("x".repeat(length));
    let alternate = |to: &str| AlternateRequest { to: to.to_owned(), ..AlternateRequest::default() };
    let some = |text: &str| Some(text.to_owned());
    let pairs = |count: usize, name: usize, value: usize| {
        (0..count).map(|nth| (format!("{nth:0>name$}"), "v".repeat(value))).collect()
    };
    let table = [
        (CreateRequest { to: String::new(), ..request() }, "invalid_number", "to"),
        (CreateRequest { to: String::from("nobody"), ..request() }, "invalid_number", "to"),
        (CreateRequest { to: String::from("110"), ..request() }, "not_callable", "to"),
        (CreateRequest { country: None, ..request() }, "invalid_number", "to"),
        (CreateRequest { country: some("Japan"), ..request() }, "out_of_range", "country"),
        (CreateRequest { to: String::from("+442071838750"), ..request() }, "country_not_allowed", "to"),
        (CreateRequest { to: String::from("0120-123-456"), ..request() }, "number_type_not_allowed", "to"),
        (CreateRequest { to: String::from("0990-123456"), ..request() }, "number_type_not_allowed", "to"),
        (CreateRequest { alternates: vec![alternate("110")], ..request() }, "not_callable", "alternates[0].to"),
        (
            CreateRequest { alternates: vec![alternate("090-1234-5678")], ..request() },
            "out_of_range",
            "alternates[0].to",
        ),
        (
            CreateRequest {
                alternates: vec![AlternateRequest { extension: some("12a"), ..alternate("03-1234-5678") }],
                ..request()
            },
            "out_of_range",
            "alternates[0].extension",
        ),
        (
            CreateRequest {
                alternates: ["1", "2", "3", "4"].map(|last| alternate(&format!("03-1234-567{last}"))).to_vec(),
                ..request()
            },
            "out_of_range",
            "alternates",
        ),
        (CreateRequest { extension: some("ext 5"), ..request() }, "out_of_range", "extension"),
        (CreateRequest { extension: some(&"1".repeat(33)), ..request() }, "out_of_range", "extension"),
        (CreateRequest { flow: some("no-such-flow"), ..request() }, "out_of_range", "flow"),
        (CreateRequest { code: some("123456"), ..request() }, "out_of_range", "code"),
        (CreateRequest { locale: some("not a language"), ..request() }, "out_of_range", "locale"),
        (CreateRequest { brand: text(65), ..request() }, "out_of_range", "brand"),
        (CreateRequest { purpose_text: text(65), ..request() }, "out_of_range", "purpose_text"),
        (CreateRequest { reference: text(65), ..request() }, "out_of_range", "reference"),
        (CreateRequest { reference: some(""), ..request() }, "out_of_range", "reference"),
        (CreateRequest { reference: some("a\nb"), ..request() }, "out_of_range", "reference"),
        (CreateRequest { expires_in: Some(59), ..request() }, "out_of_range", "expires_in"),
        (CreateRequest { expires_in: Some(601), ..request() }, "out_of_range", "expires_in"),
        (CreateRequest { max_calls: Some(0), ..request() }, "out_of_range", "max_calls"),
        (CreateRequest { max_calls: Some(6), ..request() }, "out_of_range", "max_calls"),
        (CreateRequest { max_calls: Some(256), ..request() }, "out_of_range", "max_calls"),
        (CreateRequest { metadata: pairs(17, 2, 1), ..request() }, "out_of_range", "metadata"),
        (CreateRequest { metadata: pairs(1, 41, 1), ..request() }, "out_of_range", "metadata"),
        (CreateRequest { metadata: pairs(1, 1, 257), ..request() }, "out_of_range", "metadata"),
        (CreateRequest { metadata: pairs(16, 40, 256), ..request() }, "out_of_range", "metadata"),
        (CreateRequest { callback_url: some("ftp://example.com"), ..request() }, "out_of_range", "callback_url"),
    ];
    for (asked, code, member) in table {
        let refused = world.create(asked).await.unwrap_err();
        assert_eq!((refused.code(), named(&refused)), (code, member), "{refused}");
    }
    assert_eq!(world.orders(), 0);
    for key in ["", &"k".repeat(256), "k\n", "ключ"] {
        let refused = world.gateway.create(&client(), request(), Some(key), b"").await.unwrap_err();
        assert_eq!(refused.code(), "malformed", "{key:?}");
    }
}

/// The member that a refusal names.
fn named(refusal: &Refusal) -> &str {
    match refusal {
        Refusal::Malformed { member, .. }
        | Refusal::OutOfRange { member, .. }
        | Refusal::InvalidNumber { member, .. }
        | Refusal::NotCallable { member, .. }
        | Refusal::CountryNotAllowed { member, .. }
        | Refusal::NumberTypeNotAllowed { member, .. }
        | Refusal::CannotCarry { member, .. } => member,
        other => panic!("{other:?} names no member"),
    }
}

#[tokio::test]
async fn the_first_answer() {
    let world = World::new().await;
    let asked = CreateRequest {
        to: String::from("０９０－１２３４－５６７８"),
        brand: Some(String::from("  Contoso\u{202e}\u{7}  Ltd ")),
        purpose: Some(Purpose::SignIn),
        reference: Some(String::from("user-42")),
        metadata: [(String::from("tier"), String::from("gold"))].into(),
        expires_in: Some(120),
        ..request()
    };
    let created = world.create(asked).await.unwrap();
    assert!(!created.replayed);
    let v = world.value(created.document.id).await;
    assert_eq!(v.request.brand, "Contoso Ltd");
    let mut answer = serde_json::to_value(&created.document).unwrap();
    answer["id"] = "ver_…".into();
    insta::assert_snapshot!(serde_json::to_string_pretty(&answer).unwrap(), @r#"
    {
      "block_requested": false,
      "caller_id": "+815012345678",
      "calls": [],
      "country": "JP",
      "created_at": "2026-11-18T11:06:40.000Z",
      "decided_at": null,
      "expires_at": "2026-11-18T11:08:40.000Z",
      "flow": "press-pound",
      "id": "ver_…",
      "locale": "ja-JP",
      "match_code": null,
      "metadata": {
        "tier": "gold"
      },
      "mode": "confirm",
      "next_step": null,
      "purpose": "sign_in",
      "reason": null,
      "reason_text": null,
      "redial_after": 30,
      "reference": "user-42",
      "revision": 1,
      "stage": "queued",
      "status": "pending",
      "strength": "possession",
      "to": "+81 •• •••• 5678"
    }
    "#);
}

#[tokio::test]
async fn the_language_of_a_country_where_none_is_asked_for() {
    let world = World::new().await;
    let locale = async |asked: CreateRequest| world.create(asked).await.unwrap().document.locale;
    assert_eq!(locale(request()).await, "ja-JP");
    let american = CreateRequest { to: String::from("+12125550123"), country: None, ..request() };
    assert_eq!(locale(american).await, "en-US");
    let told = CreateRequest { to: String::from("03-1234-5678"), locale: Some(String::from("EN_gb")), ..request() };
    assert_eq!(locale(told).await, "en-GB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_requests_with_one_key_make_one_call() {
    let world = World::new().await;
    let beside = world.beside().await;
    let (client, key) = (client(), Some("key-1"));
    let answers = futures_util::future::join_all((0..50).map(|nth| {
        let at = if nth % 2 == 0 { &world } else { &beside };
        at.gateway.create(&client, request(), key, b"body")
    }))
    .await;
    let mut ids = BTreeSet::new();
    let mut made = 0;
    for answer in answers {
        match answer {
            Ok(created) => {
                made += u32::from(!created.replayed);
                ids.insert(created.document.id);
            }
            Err(refused) => assert_eq!(refused, Refusal::IdempotencyInProgress),
        }
    }
    assert_eq!((ids.len(), made), (1, 1));
    world.order(0).await;
    world.clock.advance(Duration::from_secs(6));
    let again = world.gateway.create(&client, request(), key, b"body").await.unwrap();
    assert!(again.replayed);
    assert_eq!(world.orders(), 1);
}

#[tokio::test]
async fn a_key_stands_for_one_request_of_one_client() {
    let world = World::new().await;
    let asked = CreateRequest { mode: None, ..request() };
    let first = world.gateway.create(&client(), asked.clone(), Some("key"), b"one").await.unwrap();
    let again = world.gateway.create(&client(), asked.clone(), Some("key"), b"one").await.unwrap();
    assert_eq!((again.replayed, &again.document), (true, &first.document), "the first answer, member by member");
    let other = world.gateway.create(&client(), asked.clone(), Some("key"), b"two").await.unwrap_err();
    assert_eq!(other, Refusal::IdempotencyKeyReused);
    let theirs = world.gateway.create(&rival(), asked.clone(), Some("key"), b"one").await.unwrap_err();
    assert!(matches!(theirs, Refusal::NumberBusy { .. }), "{theirs:?}: another client's key is another key");
    // The refused request may be tried again once the number is free.
    world.gateway.cancel(&client(), first.document.id).await.unwrap();
    let order = world.order(0).await;
    world.status(&order, "completed").await.unwrap();
    let at_last = world.gateway.create(&rival(), asked.clone(), Some("key"), b"one").await.unwrap();
    assert!(!at_last.replayed);
    // And the first answer is given still, though the verification is final.
    let late = world.gateway.create(&client(), asked, Some("key"), b"one").await.unwrap();
    assert_eq!((late.replayed, late.document), (true, first.document));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_verification_at_a_time_for_a_number() {
    let world = World::new().await;
    let (first, second) = tokio::join!(world.create(request()), world.create(request()));
    let (made, refused) = match (first, second) {
        (Ok(made), Err(refused)) | (Err(refused), Ok(made)) => (made, refused),
        other => panic!("{other:?}"),
    };
    assert_eq!(refused, Refusal::AlreadyPending { id: made.document.id });
    let theirs = world.gateway.create(&rival(), request(), None, b"").await.unwrap_err();
    assert!(matches!(theirs, Refusal::NumberBusy { .. }), "{theirs:?}");
    world.order(0).await;
    assert_eq!(world.orders(), 1);
}

#[tokio::test]
async fn nobody_sees_another_clients_verifications() {
    let world = World::new().await;
    let (id, _) = world.call(request()).await;
    let theirs = rival();
    assert_eq!(world.gateway.read(&theirs, id).await.unwrap_err(), Refusal::NotFound);
    assert_eq!(world.gateway.wait(&theirs, id, None, Duration::ZERO).await.unwrap_err(), Refusal::NotFound);
    assert_eq!(world.gateway.cancel(&theirs, id).await.unwrap_err(), Refusal::NotFound);
    assert_eq!(world.gateway.redial(&theirs, id).await.unwrap_err(), Refusal::NotFound);
    assert_eq!(world.gateway.check(&theirs, id, "123456").await.unwrap_err(), Refusal::NotFound);
    assert_eq!(world.gateway.view_token(&theirs, id).await.unwrap_err(), Refusal::NotFound);
    let list = |client: Client| {
        let gateway = world.gateway.clone();
        async move { gateway.list(&client, &VerificationsQuery::default()).await.unwrap().items.len() }
    };
    assert_eq!((list(theirs).await, list(client()).await), (0, 1));
    assert_eq!(world.value(id).await.status, Status::Pending);
    let token = world.gateway.view_token(&client(), id).await.unwrap().token;
    assert_eq!(world.gateway.check_view_token(&token, id), Some(client()));
    world.clock.advance(Duration::from_secs(15 * 60));
    assert_eq!(world.gateway.check_view_token(&token, id), None);
}

#[tokio::test]
async fn what_no_carrier_can_do_is_refused_before_anything_is_dialled() {
    let world = World::new().await;
    let carrier = std::sync::Arc::new(super::carrier::FakeCarrier { extensions: false, ..Default::default() });
    let poor = World::with(world.clock.clone(), super::world::memory(&world.clock), carrier).await;
    let asked = CreateRequest { extension: Some(String::from("12")), ..request() };
    let refused = poor.create(asked).await.unwrap_err();
    assert_eq!((refused.code(), named(&refused)), ("cannot_carry", "extension"));
    let mut parts = super::world::parts(&world.clock, &super::world::memory(&world.clock), &world.carrier);
    parts.carriers[0].countries = ringproof::gateway::Countries::Only(vec!["US".parse().unwrap()]);
    let american = ringproof::gateway::Gateway::open(parts).await.unwrap();
    let refused = american.create(&client(), request(), None, b"").await.unwrap_err();
    assert_eq!((refused.code(), named(&refused)), ("cannot_carry", "to"));
}

#[tokio::test]
async fn modes_without_a_flow_are_refused_and_codes_are_checked() {
    let world = World::new().await;
    let flows = ringproof::callflow::Flows::from_sources(&[]).unwrap();
    for mode in [Mode::Match, Mode::Speak] {
        let asked = CreateRequest { mode: Some(mode), ..request() };
        if !flows.iter().any(|flow| flow.mode() == mode) {
            assert_eq!(named(&world.create(asked).await.unwrap_err()), "mode");
            continue;
        }
        for code in ["12345", "12345678901", "12345a", "１２３４５６", "12#456", ""] {
            let refused =
                world.create(CreateRequest { code: Some(code.to_owned()), ..asked.clone() }).await.unwrap_err();
            assert_eq!(named(&refused), "code", "{code}");
        }
        let made = world.create(asked).await.unwrap().document;
        let code = world.value(made.id).await.request.code.unwrap().expose().expose().to_owned();
        assert!(code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit()));
        assert_eq!(made.match_code, (mode == Mode::Match).then_some(code));
        let read = ringproof::gateway::document(&world.gateway.read(&client(), made.id).await.unwrap());
        assert_eq!(read.match_code, None, "only the first answer tells it");
        world.gateway.cancel(&client(), made.id).await.unwrap();
        let order = world.order(world.orders().max(1) - 1).await;
        let _ = world.status(&order, "completed").await;
        world.clock.advance(Duration::from_secs(600));
        world.value_when(made.id, "it is over", ringproof::verification::Verification::is_over).await;
    }
}

#[tokio::test]
async fn the_call_log_finds_a_number() {
    let world = World::new().await;
    let (id, order) = world.call(request()).await;
    world.status(&order, "busy").await.unwrap();
    let v = world.value_when(id, "it ends", ringproof::verification::Verification::is_final).await;
    let query = |number: &str| CallsQuery { number: Some(number.to_owned()), ..CallsQuery::default() };
    let found = world.gateway.calls(&query("+81 90 1234 5678")).await.unwrap().items;
    assert_eq!(found.len(), 1);
    assert_eq!(world.gateway.call(v.call_id(0)).await.unwrap().id, found[0].id);
    assert_eq!(world.gateway.call(v.call_id(1)).await.unwrap_err(), Refusal::NotFound);
    assert!(world.gateway.calls(&query("+81 90 1234 5679")).await.unwrap().items.is_empty());
    assert_eq!(named(&world.gateway.calls(&query("nobody")).await.unwrap_err()), "number");
    let record = world.gateway.record_document(&found[0], "en");
    assert_eq!((record.end, record.to.as_str()), (Some("busy"), v.request.targets[0].to.to_string().as_str()));
    let ours = CallsQuery { client: Some(client().name), ..CallsQuery::default() };
    let theirs = CallsQuery { client: Some(rival().name), ..CallsQuery::default() };
    assert_eq!(world.gateway.calls(&ours).await.unwrap().items.len(), 1);
    assert_eq!(world.gateway.calls(&theirs).await.unwrap().items.len(), 0);
}
