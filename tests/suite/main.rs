//! The suite: one module per thing a user would say.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod acme;
mod adopt;
mod architecture;
mod audit;
mod backup;
mod bench;
mod ca_rotate;
mod canary;
mod config;
mod crl;
mod csv_batch;
mod damage;
mod disk_full;
mod doctor;
mod documents;
mod endurance;
mod export;
mod faults;
mod fuzz_corpus;
mod growth;
mod help;
mod histories;
mod hostile;
mod inputs;
mod interop;
mod killed_service;
mod linearizable;
mod local_users;
mod lxc;
mod lxd;
mod multipass;
mod one_directory;
mod packaging;
mod passwd;
mod paths;
mod power;
mod public_listener;
mod remote;
mod renew;
mod revoke;
mod routes;
mod snapshots;
mod tour;
mod trust;
