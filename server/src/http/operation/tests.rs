use axum::Router;
use axum::routing::post;
use serde::Deserialize;
use time::OffsetDateTime;
use tower::ServiceExt;
use trust::{Action, Permit};
use utoipa::ToSchema;

use super::*;
use crate::Pki;
use crate::ops::Error;
use crate::settings::{self, Setting};

/// An operation that stops at a defect, or not.
#[derive(Serialize, Deserialize, ToSchema)]
enum Test {
    Panic,
    Work,
}

impl Operation for Test {
    const NAME: &'static str = "test";
    const ACTION: Action = Action::Read;
    type Reply = String;

    fn run(self, _: &Pki, permit: &Permit, _: OffsetDateTime) -> Result<String, Error> {
        match self {
            Test::Panic => panic!("a defect"),
            Test::Work => Ok(permit.peer().to_string()),
        }
    }
}

async fn ask(presented: Presented, body: &str) -> Response {
    let pki = Pki::in_memory(std::path::Path::new("/nowhere"), 1000).unwrap();
    // Else the first other user would be let in for being the first.
    settings::set(pki.store(), Setting::LocalTrustFirst, Some("false"), "t", 1).unwrap();
    let desk = Desk::new(pki, Arc::new(Limits::default()));
    let router = Router::new().route("/", post(answer::<Test>)).with_state(desk);
    let mut request = Request::post("/").body(Body::from(body.to_owned())).unwrap();
    request.extensions_mut().insert(Arc::new(presented));
    router.oneshot(request).await.unwrap()
}

fn local(uid: u32) -> Presented {
    Presented::Local(trust::LocalUser { uid, name: None })
}

#[tokio::test]
async fn a_panic_is_an_answer_and_the_next_request_works() {
    let broken = ask(local(1000), "\"Panic\"").await;
    assert_eq!(broken.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = broken.into_body().collect().await.unwrap().to_bytes();
    let problem: Problem = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem.kind, ProblemKind::Internal);
    assert_eq!(ask(local(1000), "\"Work\"").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn only_the_owner_and_root_are_let_in() {
    assert_eq!(ask(local(0), "\"Work\"").await.status(), StatusCode::OK);
    let refused = ask(local(1001), "\"Work\"").await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    let body = refused.into_body().collect().await.unwrap().to_bytes();
    let problem: Problem = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem.kind, ProblemKind::Denied);
    assert!(problem.message.contains("Please use 'pki authenticate'"), "{problem}");
    assert_eq!(ask(Presented::Nobody, "\"Work\"").await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_body_that_says_something_else_is_refused() {
    assert_eq!(ask(local(1000), "\"Rest\"").await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(ask(local(1000), "\"Work\" and more").await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn whoever_is_not_let_in_can_make_us_keep_little() {
    let padded = |size: usize| format!("\"Work\"{}", " ".repeat(size));
    let limit = crate::limits::ONE_REQUEST;
    assert_eq!(ask(local(1001), &padded(limit)).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(ask(local(1001), &padded(limit / 2)).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(ask(local(1000), &padded(limit)).await.status(), StatusCode::OK);
}
