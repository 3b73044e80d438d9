//! "What URLs are there?"

#[test]
fn the_route_table_is_what_it_was() {
    let mut table = String::new();
    for route in server::http::routes() {
        let action = route.action.map_or_else(|| "anyone".to_owned(), |action| format!("{action:?}"));
        table.push_str(&format!("{:<6} {:<9} {:<45} {action}\n", route.listener, route.methods, route.path));
    }
    insta::assert_snapshot!(table);
}
