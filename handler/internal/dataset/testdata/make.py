"""Writes pandas.parquet, and the same table as pandas.csv: what data scientists have.

Needs pandas and pyarrow.
"""
import datetime
import decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

n = 300
r = np.random.default_rng(1)
day = [datetime.date(2024, 1, 1) + datetime.timedelta(days=int(i)) for i in range(n)]
table = pd.DataFrame({
    "age": pd.array([None if i % 7 == 3 else int(i % 60 + 18) for i in range(n)], dtype="Int64"),
    "region": pd.Categorical([None if i % 11 == 5 else ["Utrecht", "Drenthe", "Liège"][i % 3] for i in range(n)]),
    "power": np.where(np.arange(n) % 5 == 2, np.nan, np.round(r.normal(80, 10, n), 3)),
    "small": r.integers(0, 255, n).astype("uint8"),
    "big": r.integers(0, 2**32, n).astype("uint32"),
    "half": np.round(r.normal(size=n), 2).astype("float32"),
    "new": np.arange(n) % 3 == 0,
    "postcode": 1000 + np.arange(n) % 80,
    "code": [["007", "8", "9x"][i % 3] for i in range(n)],
    "premium": [decimal.Decimal(int(i) * 37) / 100 for i in range(n)],
    "since": day,
    "at": pd.to_datetime(day) + pd.Timedelta(hours=12),
    "nothing": [None] * n,
})
schema = pa.Schema.from_pandas(table, preserve_index=False)
schema = schema.set(schema.get_field_index("premium"), pa.field("premium", pa.decimal128(12, 2)))
pq.write_table(pa.Table.from_pandas(table, schema, preserve_index=False), "pandas.parquet", row_group_size=130)

days = (pd.to_datetime(table.since) - pd.Timestamp(0)).dt.days
table["since"], table["at"], table["new"] = days, days + 0.5, table.new.astype(int)
table.to_csv("pandas.csv", index=False)
