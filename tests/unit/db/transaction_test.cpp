#include "tests/unit/db/db_test.h"

namespace opensend::db {
namespace {

class TransactionOnBoth : public OnBoth {};
OPENSEND_ON_BOTH(TransactionOnBoth);

TEST_P(TransactionOnBoth, WithoutCommitNothingStays) {
    {
        Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
        InsertIn(tx, "a");
    }
    EXPECT_EQ(CountItems(), 0);
    Insert("a");
    EXPECT_EQ(CountItems(), 1);
}

TEST_P(TransactionOnBoth, ACommitMakesRoomForTheNextInTheSameThread) {
    std::vector<std::unique_ptr<Transaction>> done;
    for (const std::string name : {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"}) {
        done.push_back(std::make_unique<Transaction>(*pool_, Plane::kAccept, Scope::AllTenants()));
        InsertIn(*done.back(), name);
        done.back()->Commit();
    }
    EXPECT_EQ(CountItems(), 12);
}

TEST_P(TransactionOnBoth, APoisonedOneRefusesToGoOnAndToCommit) {
    Insert("a");
    {
        Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
        InsertIn(tx, "b");
        EXPECT_EQ(CodeOf([&] { InsertIn(tx, "a"); }), base::ErrorCode::kConflict);
        EXPECT_EQ(CodeOf([&] { InsertIn(tx, "c"); }), base::ErrorCode::kInternal);
        EXPECT_EQ(CodeOf([&] { tx.Commit(); }), base::ErrorCode::kInternal);
    }
    EXPECT_EQ(CountItems(), 1);
    Insert("d");
    EXPECT_EQ(CountItems(), 2);
}

TEST_P(TransactionOnBoth, AStatementThatCannotBePreparedPoisons) {
    {
        Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
        InsertIn(tx, "b");
        EXPECT_EQ(
            CodeOf([&] {
                tx.Execute({"t.syntax", "SELEKT 1"}, {});
            }),
            base::ErrorCode::kInternal
        );
        EXPECT_EQ(CodeOf([&] { tx.Commit(); }), base::ErrorCode::kInternal);
    }
    EXPECT_EQ(CountItems(), 0);
}

TEST_P(TransactionOnBoth, ANulInTextPoisons) {
    Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
    EXPECT_EQ(CodeOf([&] { InsertIn(tx, std::string("\0", 1)); }), base::ErrorCode::kInternal);
    EXPECT_EQ(CodeOf([&] { tx.Commit(); }), base::ErrorCode::kInternal);
}

TEST_P(TransactionOnBoth, AFailureWithinManyPoisons) {
    Insert("300");
    const Query query = {"items.insert", "INSERT INTO items (id, number) VALUES ($1, $2)"};
    std::vector<Params> rows;
    for (int i = 0; i < 700; ++i) rows.push_back({std::to_string(i), i});
    {
        Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
        EXPECT_EQ(CodeOf([&] { tx.ChangeEach(query, rows); }), base::ErrorCode::kConflict);
        EXPECT_EQ(CodeOf([&] { tx.Commit(); }), base::ErrorCode::kInternal);
    }
    EXPECT_EQ(CountItems(), 1);
    rows[10] = {std::string("\0", 1), 0};
    {
        Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
        EXPECT_EQ(CodeOf([&] { tx.ChangeEach(query, rows); }), base::ErrorCode::kInternal);
        EXPECT_EQ(CodeOf([&] { tx.Commit(); }), base::ErrorCode::kInternal);
    }
    rows.erase(rows.begin() + 300);
    rows.erase(rows.begin() + 10);
    Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
    EXPECT_EQ(tx.ChangeEach(query, rows), 698);
    tx.Commit();
    EXPECT_EQ(CountItems(), 699);
}

TEST_P(TransactionOnBoth, AReaderSeesNothingBeforeTheCommitAndDoesNotWait) {
    Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
    InsertIn(tx, "a");
    EXPECT_EQ(CountItems(), 0);
    tx.Commit();
    EXPECT_EQ(CountItems(), 1);
}

TEST_P(TransactionOnBoth, ForeignKeysHold) {
    Transaction tx(*pool_, Plane::kAccept, Scope::AllTenants());
    tx.Execute({"", "CREATE TABLE parts (id TEXT NOT NULL REFERENCES items (id))"}, {});
    EXPECT_EQ(
        CodeOf([&] {
            tx.Change({"t.part", "INSERT INTO parts (id) VALUES ($1)"}, {"none"});
        }),
        base::ErrorCode::kInternal
    );
}

}  // namespace
}  // namespace opensend::db
