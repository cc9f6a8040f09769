#include <gtest/gtest.h>

#include "kernel/db/backend/backend.h"

namespace opensend::db {
namespace {

std::string Lite(std::string_view sql) { return MakeStatementText(sql, Dialect::kSqlite).sql; }
std::string Pg(std::string_view sql) { return MakeStatementText(sql, Dialect::kPostgres).sql; }

TEST(StatementText, WordsInBracesFollowTheDatabase) {
    EXPECT_EQ(Lite("a {skip_locked}b {for_update}{blob}"), "a b BLOB");
    EXPECT_EQ(
        Pg("a {skip_locked} {for_update} {blob}"), "a FOR UPDATE SKIP LOCKED FOR UPDATE BYTEA"
    );
    EXPECT_DEATH(Lite("{nothing}"), "is known");
    EXPECT_DEATH(Lite("{blob"), "is closed");
}

TEST(StatementText, ParametersAreNumberedForBoth) {
    EXPECT_EQ(Lite("$1 $2 $1 $3"), "?1 ?2 ?1 ?3");
    EXPECT_EQ(Pg("$1 $2 $1 $3"), "$1 $2 $1 $3");
    EXPECT_EQ(MakeStatementText("$1,$2,$2", Dialect::kSqlite).parameters, 2u);
    const std::string twelve = "$1 $2 $3 $4 $5 $6 $7 $8 $9 $10 $11 $12";
    EXPECT_EQ(MakeStatementText(twelve, Dialect::kSqlite).parameters, 12u);
}

TEST(StatementText, QuotesAndCommentsStayAsTheyAre) {
    for (const char* text :
         {"'$7 {x} ''$8'", "\"$7\"", "-- $7\nx", "/* $7 ' */ x", "'open $7", "-- $7", "$x $$"}) {
        EXPECT_EQ(Lite(text), text);
        EXPECT_EQ(Pg(text), text);
    }
    EXPECT_EQ(Lite("'$7' $1 '$9'"), "'$7' ?1 '$9'");
}

TEST(StatementText, OutOfOrderAborts) {
    EXPECT_DEATH(Lite("$2 $1"), "in the order");
    EXPECT_DEATH(Lite("$1 $3"), "in the order");
    EXPECT_DEATH(Lite("$0"), "in the order");
    EXPECT_DEATH(Lite("$99999999999999999999"), "in the order");
}

}  // namespace
}  // namespace opensend::db
