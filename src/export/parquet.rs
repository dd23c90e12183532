//! A table as a Parquet file.

use std::sync::Arc;

use parquet::basic::{Compression, ConvertedType, LogicalType, Repetition, Type as Physical};
use parquet::column::writer::ColumnWriterImpl;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::Result;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;

use super::table::{Table, Values};

/// The bytes of the file.
///
/// # Errors
/// Memory takes every table, so an error is a mistake in a column's type.
pub fn file(table: &Table) -> Result<Vec<u8>> {
    let fields = table.columns.iter().map(|(name, values)| field(name, values).map(Arc::new));
    let schema = Type::group_type_builder(table.name).with_fields(fields.collect::<Result<_>>()?).build()?;
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut file = SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties))?;
    let mut group = file.next_row_group()?;
    for (_, values) in &table.columns {
        let mut column = group.next_column()?.expect("the schema has as many columns");
        match values {
            Values::Integer(values) => write(column.typed::<Int64Type>(), values, |value| *value)?,
            Values::Real(values) => write(column.typed::<DoubleType>(), values, |value| *value)?,
            Values::Truth(values) => write(column.typed::<BoolType>(), values, |value| *value)?,
            Values::Text(values) => {
                write(column.typed::<ByteArrayType>(), values, |value| ByteArray::from(value.as_str()))?;
            }
        }
        column.close()?;
    }
    group.close()?;
    file.into_inner()
}

fn field(name: &str, values: &Values) -> Result<Type> {
    let (physical, logical) = match values {
        Values::Integer(_) => (Physical::INT64, None),
        Values::Real(_) => (Physical::DOUBLE, None),
        Values::Truth(_) => (Physical::BOOLEAN, None),
        Values::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let converted = if logical.is_some() { ConvertedType::UTF8 } else { ConvertedType::NONE };
    let field = Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
    field.with_converted_type(converted).with_logical_type(logical).build()
}

/// Writes the values that exist, and where they are.
fn write<T: DataType, V>(
    column: &mut ColumnWriterImpl<'_, T>,
    values: &[Option<V>],
    of: impl Fn(&V) -> T::T,
) -> Result<()> {
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    let values: Vec<T::T> = values.iter().flatten().map(of).collect();
    column.write_batch(&values, Some(&levels), None).map(|_| ())
}
