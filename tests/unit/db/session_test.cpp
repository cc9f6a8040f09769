#include <cmath>
#include <functional>
#include <limits>

#include "tests/unit/db/db_test.h"

namespace opensend::db {
namespace {

class SessionOnBoth : public OnBoth {
protected:
    Row Stored(const Value& number, const Value& body, const Value& note, const Value& ratio) {
        Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
        tx.Execute({"items.clear", "DELETE FROM items"}, {});
        tx.Change(
            {"items.store",
             "INSERT INTO items (id, number, body, note, ratio) VALUES ($1, $2, $3, $4, $5)"},
            {"x", number, body, note, ratio}
        );
        tx.Commit();
        const auto row =
            Reader(*pool_, Scope::AllTenants())
                .First(
                    {"items.get", "SELECT number, body, note, ratio FROM items WHERE id = $1"},
                    {"x"}
                );
        return *row;
    }
};
OPENSEND_ON_BOTH(SessionOnBoth);

TEST_P(SessionOnBoth, AnEmptyBlobIsNotNull) {
    const Row row = Stored(1, Blob{}, "", {});
    ASSERT_FALSE(row.IsNull(1));
    EXPECT_EQ(row.Bytes(1), "");
    ASSERT_FALSE(row.IsNull(2));
    EXPECT_EQ(row.Text(2), "");
    const Row nulls = Stored({}, {}, {}, {});
    for (size_t i = 0; i < nulls.size(); ++i) EXPECT_TRUE(nulls.IsNull(i));
}

TEST_P(SessionOnBoth, ABlobKeepsEveryByte) {
    std::string bytes;
    for (int i = 0; i < 70'000; ++i) bytes += static_cast<char>(i * 7 % 256);
    EXPECT_EQ(Stored(1, Blob{bytes}, "", {}).Bytes(1), bytes);
    EXPECT_EQ(Stored(1, Blob{std::string("\0a\0", 3)}, "", {}).Bytes(1), std::string("\0a\0", 3));
}

TEST_P(SessionOnBoth, TextWithNulIsRefusedAndNothingIsStored) {
    EXPECT_EQ(
        CodeOf([&] { Stored(1, {}, std::string("a\0b", 3), {}); }), base::ErrorCode::kInternal
    );
    EXPECT_EQ(CountItems(), 0);
}

TEST_P(SessionOnBoth, MicrosecondsAndExtremesAreKept) {
    EXPECT_EQ(Stored(base::Time{1'772'442'930'123'456}, {}, "", {}).Time(0).us, 1772442930123456);
    for (const int64_t number :
         {std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max(), int64_t{-1}})
        EXPECT_EQ(Stored(number, {}, "", {}).Int(0), number);
}

TEST_P(SessionOnBoth, RealsAreKept) {
    for (const double ratio : {0.1, -1e300, 5e-324, 3.0})
        EXPECT_EQ(Stored({}, {}, "", ratio).Real(3), ratio);
    EXPECT_EQ(Stored({}, {}, "", INFINITY).Real(3), INFINITY);
    EXPECT_EQ(Stored({}, {}, "", 7).Real(3), 7.0);
}

TEST_P(SessionOnBoth, TextKeepsQuotesAndUtf8) {
    const std::string text = "O'Neil \"ü\" \\x41 😀 $1 %s\r\n";
    EXPECT_EQ(Stored({}, {}, text, {}).Text(2), text);
}

TEST_P(SessionOnBoth, DollarsInQuotesAreText) {
    const auto row = Reader(*pool_, Scope::AllTenants())
                         .First(
                             {"t.quotes",
                              "SELECT 'it''s $5', COALESCE(MAX(id), 'none') FROM items -- $9\n"
                              "WHERE id <> '$2' AND id = $1 /* {x} $7 */"},
                             {"x"}
                         );
    EXPECT_EQ(row->Text(0), "it's $5");
    EXPECT_EQ(row->Text(1), "none");
}

TEST_P(SessionOnBoth, AParameterMayAppearAgain) {
    Insert("a", 5);
    Reader reader(*pool_, Scope::AllTenants());
    const Query query = {
        "t.twice", "SELECT id FROM items WHERE number >= $1 AND id = $2 AND number <= $1"};
    EXPECT_EQ(reader.Execute(query, {5, "a"}).size(), 1u);
    EXPECT_EQ(reader.Execute(query, {6, "a"}).size(), 0u);
}

TEST_P(SessionOnBoth, AggregatesAndConditionsAreNumbers) {
    Insert("a", 5);
    Insert("b", 6);
    const auto row =
        Reader(*pool_, Scope::AllTenants())
            .First(
                {"t.sums",
                 "SELECT COUNT(*), SUM(number), AVG(number), MAX(number) > 5, MIN(note), "
                 "CAST(7 AS INTEGER) FROM items"},
                {}
            );
    EXPECT_EQ(row->Int(0), 2);
    EXPECT_EQ(row->Int(1), 11);
    EXPECT_EQ(row->Real(2), 5.5);
    EXPECT_TRUE(row->Bool(3));
    EXPECT_TRUE(row->IsNull(4));
    EXPECT_EQ(row->Int(5), 7);
}

TEST_P(SessionOnBoth, BytesAreRightBesideATypeReadAsText) {
    Stored(1, Blob{std::string("\0\xff'\\", 4)}, "", {});
    const auto row = Reader(*pool_, Scope::AllTenants())
                         .First({"t.mixed", "SELECT body, CAST(1.5 AS NUMERIC) FROM items"}, {});
    EXPECT_EQ(row->Bytes(0), std::string("\0\xff'\\", 4));
    EXPECT_EQ(row->Real(1), 1.5);
}

TEST_P(SessionOnBoth, ChangeCountsRowsAndReturningGivesThem) {
    Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
    InsertIn(tx, "a");
    InsertIn(tx, "b");
    EXPECT_EQ(tx.Change({"t.all", "UPDATE items SET number = $1"}, {3}), 2);
    EXPECT_EQ(tx.Change({"t.none", "DELETE FROM items WHERE id = $1"}, {"zz"}), 0);
    const Query claim = {
        "t.claim",
        "UPDATE items SET number = number + 1 WHERE id IN (SELECT id FROM items "
        "WHERE number = $1 ORDER BY id LIMIT $2 {skip_locked}) RETURNING id, number"};
    const Rows rows = tx.Execute(claim, {3, 1});
    ASSERT_EQ(rows.size(), 1u);
    EXPECT_EQ(rows[0].Text(0), "a");
    EXPECT_EQ(rows[0].Int(1), 4);
    EXPECT_EQ(tx.Change(claim, {3, 10}), 1);
    EXPECT_EQ(tx.Execute({"t.lock", "SELECT id FROM items {for_update}"}, {}).size(), 2u);
    EXPECT_EQ(
        tx.Change(
            {"t.conflict", "INSERT INTO items (id) VALUES ($1) ON CONFLICT DO NOTHING"}, {"a"}
        ),
        0
    );
}

TEST_P(SessionOnBoth, AStatementWorksAgainAfterAUniqueViolation) {
    Insert("a");
    for (int i = 0; i < 3; ++i) {
        try {
            Insert("a");
            FAIL();
        } catch (const base::Error& error) {
            EXPECT_EQ(error.code(), base::ErrorCode::kConflict);
            EXPECT_EQ(error.reason(), "already_exists");
            EXPECT_NE(error.detail().find("items.insert"), std::string::npos) << error.detail();
        }
        Insert(std::to_string(i));
    }
    EXPECT_EQ(CountItems(), 4);
}

TEST_P(SessionOnBoth, AnErrorNeverQuotesValues) {
    Insert("private-value");
    for (const auto& fails :
         {std::function<void()>([&] { Insert("private-value"); }), std::function<void()>([&] {
              Reader(*pool_, Scope::AllTenants())
                  .Execute(
                      {"t.cast", "SELECT id FROM no_such_table WHERE id = $1"}, {"private-value"}
                  );
          }),
          std::function<void()>([&] {
              Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
              tx.Execute(
                  {"t.bad", "INSERT INTO items (id, ratio) VALUES (NULL, $1)"}, {"private-value"}
              );
          })}) {
        try {
            fails();
            FAIL();
        } catch (const base::Error& error) {
            EXPECT_EQ(std::string(error.what()).find("private-value"), std::string::npos)
                << error.what();
        }
    }
}

TEST_P(SessionOnBoth, ChangeEachRunsManySmallAndLargeRowsInOrder) {
    std::vector<Params> rows;
    for (int i = 0; i < 1000; ++i) rows.push_back({std::to_string(i), i, Blob{"x"}});
    for (int i = 1000; i < 1020; ++i)
        rows.push_back({std::to_string(i), i, Blob{std::string(700'000, 'y')}});
    Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
    const Query query = {"t.each", "INSERT INTO items (id, number, body) VALUES ($1, $2, $3)"};
    EXPECT_EQ(tx.ChangeEach(query, rows), 1020);
    EXPECT_EQ(tx.ChangeEach(query, {}), 0);
    // Each sees what the one before it did.
    EXPECT_EQ(
        tx.ChangeEach(
            {"t.chain", "UPDATE items SET number = number + 1 WHERE id = '0' AND number = $1"},
            std::vector<Params>{{0}, {1}, {2}}
        ),
        3
    );
    tx.Commit();
    EXPECT_EQ(CountItems(), 1020);
    EXPECT_EQ(
        Reader(*pool_, Scope::AllTenants())
            .First({"t.n", "SELECT number FROM items WHERE id = '0'"}, {})
            ->Int(0),
        3
    );
}

TEST_P(SessionOnBoth, ChangeEachReturningRowsDoesNotBlock) {
    Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
    std::vector<Params> rows;
    for (int i = 0; i < 600; ++i)
        rows.push_back({std::to_string(i), Blob{std::string(50'000, 'b')}});
    EXPECT_EQ(
        tx.ChangeEach(
            {"t.ret", "INSERT INTO items (id, body) VALUES ($1, $2) RETURNING body"}, rows
        ),
        600
    );
    tx.Commit();
}

TEST_P(SessionOnBoth, ANameWithOtherTextIsPreparedAnew) {
    Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
    for (int round = 0; round < 3; ++round) {
        EXPECT_EQ(tx.First({"t.same", "SELECT COUNT(*) FROM items"}, {})->Int(0), 0);
        EXPECT_EQ(tx.First({"t.same", "SELECT COUNT(*) + 1 FROM items"}, {})->Int(0), 1);
        EXPECT_EQ(tx.First({"", "SELECT COUNT(*) + 2 FROM items"}, {})->Int(0), 2);
    }
}

TEST_P(SessionOnBoth, AReaderCannotWrite) {
    Reader reader(*pool_, Scope::AllTenants());
    EXPECT_EQ(CodeOf([&] { InsertIn(reader, "a"); }), base::ErrorCode::kInternal);
    EXPECT_EQ(CountItems(), 0);
}

TEST_P(SessionOnBoth, ParametersOutOfOrderAbort) {
    EXPECT_DEATH(
        Reader(*pool_, Scope::AllTenants())
            .Execute({"t.order", "SELECT id FROM items WHERE number = $2 AND id = $1"}, {"a", 1}),
        "first appear in the order"
    );
    EXPECT_DEATH(
        Reader(*pool_, Scope::AllTenants())
            .Execute({"t.few", "SELECT id FROM items WHERE number = $1"}, {}),
        "as many values"
    );
}

TEST_P(SessionOnBoth, AWrongColumnTypeAborts) {
    const Row row = Stored(1, {}, "text", {});
    EXPECT_DEATH(row.Int(2), "holds an integer");
    EXPECT_DEATH(row.Text(1), "holds text");
    EXPECT_DEATH(row.Int(9), "has this column");
}

}  // namespace
}  // namespace opensend::db
