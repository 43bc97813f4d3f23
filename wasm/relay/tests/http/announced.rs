//! The list of announcements.

use super::inside::Inside;

#[tokio::test]
async fn an_exact_match_is_an_empty_line_and_nothing_is_no_line() {
    let inside = Inside::new();
    let _here = inside.publish("room").await;
    let _below = inside.publish("room/a").await;
    let _beside = inside.publish("rooms").await;
    let list = async |target: &str| inside.read(target).await;
    assert_eq!(list("/announced/room").await, (200, "\na\n".to_owned()));
    assert_eq!(list("/announced/room/a").await, (200, "\n".to_owned()));
    assert_eq!(list("/announced/roo").await, (200, String::new()));
    assert_eq!(list("/announced/room/b").await, (200, String::new()));
    for all in ["/announced", "/announced/"] {
        let (status, list) = list(all).await;
        let mut lines: Vec<_> = list.split_terminator('\n').collect();
        lines.sort_unstable();
        assert_eq!((status, lines), (200, vec!["room", "room/a", "rooms"]));
        assert!(list.ends_with('\n'));
    }
}

#[tokio::test]
async fn what_is_withdrawn_is_in_the_list_no_more() {
    let inside = Inside::new();
    let (broadcast, track) = inside.publish("room").await;
    assert_eq!(inside.read("/announced").await.1, "room\n");
    drop((broadcast, track));
    assert_eq!(inside.read("/announced").await.1, "");
}

#[tokio::test]
async fn nobody_puts_the_names_of_others_into_the_list() {
    let inside = Inside::new();
    let _honest = inside.publish("room").await;
    let _forged = inside.publish("mine\nroom/admin").await;
    let _other = inside.publish("mine\r\nroom/king").await;
    assert_eq!(inside.read("/announced").await.1, "room\n");
}
