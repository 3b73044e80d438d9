//! "What URLs are there?"

use server::http::Access;

#[test]
fn the_route_table_is_what_it_was() {
    let mut table = String::new();
    for route in server::http::routes() {
        let access = match route.access {
            Access::Anyone => "anyone".to_owned(),
            Access::Permitted(action) => format!("{action:?}"),
            Access::Holder { own, other } => format!("{other:?}, of their own {own:?}"),
            Access::Trusted => "whoever is let in".to_owned(),
        };
        table.push_str(&format!("{:<6} {:<9} {:<45} {access}\n", route.listener, route.methods, route.path));
    }
    insta::assert_snapshot!(table);
}
