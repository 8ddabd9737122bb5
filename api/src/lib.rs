//! HTTP types, problem documents and the client.
