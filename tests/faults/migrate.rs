//! Servers that are killed between two steps of the schema.

use crate::process::Home;

#[tokio::test]
async fn migration_that_was_killed_after_each_step_goes_on_with_the_next() {
    let home = Home::new(0).await;
    let mut applied = 0;
    let process = loop {
        let started = home.start_crashing(Some("after-migration-step:1")).await;
        if let Some(process) = started {
            break process;
        }
        applied += 1;
        let versions: Vec<(i64,)> = home.ask("SELECT version FROM _sqlx_migrations ORDER BY version").await;
        assert_eq!(versions, (1..=applied).map(|version| (version,)).collect::<Vec<_>>());
    };
    assert!(applied > 1, "there are several steps");
    process.stop().await;
}
