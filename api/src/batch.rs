//! Bulk writes: a list of keyed writes, and an answer for each.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::problem::Problem;

/// Items of one bulk write at most.
pub const BATCH_MAX: usize = 256;

/// Many writes of one kind, each with an idempotency key of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest<T> {
    /// 1 to 256 writes. They are independent: one may be refused while others are done.
    pub items: Vec<BatchItem<T>>,
}

/// One write of a bulk write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchItem<T> {
    /// Its idempotency key, 1 to 128 characters: the same key with the same body has the same
    /// answer, within this request and in later ones.
    pub key: String,
    /// What the single write reads.
    pub body: T,
}

/// An answer for each write, in the order of the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchAnswer<T> {
    /// What became of each.
    pub items: Vec<BatchItemAnswer<T>>,
}

/// What became of one write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchItemAnswer<T> {
    /// The status that the single write would have.
    pub status: u16,
    /// Whether the answer was given before to the same key and body.
    pub idempotency_hit: bool,
    /// What the single write answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<T>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// The schema of a generic type: its name is the parameter's with a suffix.
macro_rules! generic_schema {
    ($name:ident, $suffix:literal, $schema:expr, $($part:ty),*) => {
        impl<T: ToSchema> PartialSchema for $name<T> {
            fn schema() -> RefOr<Schema> {
                $schema.into()
            }
        }

        impl<T: ToSchema> ToSchema for $name<T> {
            fn name() -> Cow<'static, str> {
                Cow::Owned(format!(concat!("{}", $suffix), T::name()))
            }

            fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
                $(
                    schemas.push((<$part>::name().into_owned(), <$part>::schema()));
                    <$part>::schemas(schemas);
                )*
            }
        }
    };
}

generic_schema!(
    BatchRequest,
    "Batch",
    ObjectBuilder::new()
        .description(Some("Independent writes, each with an idempotency key of its own."))
        .property("items", list::<BatchItem<T>>().min_items(Some(1)))
        .required("items"),
    BatchItem<T>
);
generic_schema!(
    BatchItem,
    "BatchItem",
    ObjectBuilder::new()
        .property(
            "key",
            ObjectBuilder::new()
                .schema_type(Type::String)
                .description(Some("The idempotency key of this write."))
                .min_length(Some(1))
                .max_length(Some(128)),
        )
        .required("key")
        .property("body", Ref::from_schema_name(T::name()))
        .required("body"),
    T
);
generic_schema!(
    BatchAnswer,
    "BatchAnswer",
    ObjectBuilder::new()
        .description(Some("An answer for each write, in the order of the request."))
        .property("items", list::<BatchItemAnswer<T>>())
        .required("items"),
    BatchItemAnswer<T>
);
generic_schema!(
    BatchItemAnswer,
    "BatchItemAnswer",
    ObjectBuilder::new()
        .property("status", ObjectBuilder::new().schema_type(Type::Integer))
        .required("status")
        .property("idempotency_hit", ObjectBuilder::new().schema_type(Type::Boolean))
        .required("idempotency_hit")
        .property("body", Ref::from_schema_name(T::name()))
        .property("problem", Ref::from_schema_name(Problem::name())),
    T,
    Problem
);

fn list<T: ToSchema>() -> ArrayBuilder {
    ArrayBuilder::new().items(Ref::from_schema_name(T::name())).max_items(Some(BATCH_MAX))
}
