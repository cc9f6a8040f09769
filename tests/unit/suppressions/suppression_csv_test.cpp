#include "kernel/resources/suppressions/suppression_csv.h"

#include <gtest/gtest.h>

#include "kernel/base/text.h"

namespace opensend::suppressions {
namespace {

std::string Keys(const CsvFile& file) {
    std::string out;
    for (const auto& entry : file.entries) out += entry.match_key + ' ';
    return out;
}

TEST(SuppressionCsv, ReadsEveryLineEndAndQuoting) {
    const auto file = ReadCsv("\xef\xbb\xbf \"email\" ,x\n");
    EXPECT_EQ(file.rejected, 1U);  // text before a quote is no quoted name
    EXPECT_EQ(
        Keys(ReadCsv("x,Email\r\n1,a@b.co\r2,\"b@b.co\"\n\n3,\" c@b.co \"\r\n")),
        "a@b.co b@b.co c@b.co "
    );
    const auto noted = ReadCsv("email,note\na@b.co,\"x \"\"y\"\", z\"");
    EXPECT_EQ(noted.entries.at(0).note, "x \"y\", z");
}

TEST(SuppressionCsv, NormalisesAddresses) {
    EXPECT_EQ(
        Keys(ReadCsv("email\nJ\xc3\xb6rg@B\xc3\xbc"
                     "cher.Example\n\"\"\"a b\"\"@C.com\"\n")),
        "j\xc3\xb6rg@xn--bcher-kva.example \"a b\"@c.com "
    );
}

TEST(SuppressionCsv, NamesTheRowAndFieldOfEachError) {
    const auto file = ReadCsv("email,reason\nok@b.co,bounced\nno,\nx@b.co,other\n,\n");
    ASSERT_EQ(file.errors.size(), 3U);
    EXPECT_EQ(file.rejected, 3U);
    EXPECT_EQ(file.errors[0].row, 3U);
    EXPECT_EQ(file.errors[0].field, "email");
    EXPECT_EQ(file.errors[0].value, "no");
    EXPECT_EQ(file.errors[1].field, "reason");
    EXPECT_EQ(file.errors[2].row, 5U);
}

TEST(SuppressionCsv, RefusesWhatIsNoTable) {
    for (const char* text :
         {"", "\n\n", "name\na@b.co\n", "email\n\"a@b.co", "email\n\"a@b.co\"x\n",
          "email\n\xff\n"}) {
        EXPECT_GT(ReadCsv(text).rejected, 0U) << text;
    }
}

TEST(SuppressionCsv, HasALimitOfRowsAndOfErrors) {
    std::string text = "email\n";
    for (size_t i = 0; i < kMaxCsvRows; ++i) text += base::Cat("a", i, "@b.co\n");
    EXPECT_EQ(ReadCsv(text).rejected, 0U);
    EXPECT_EQ(ReadCsv(text + "one@b.co\n").rejected, 1U);
    std::string bad = "email\n";
    for (int i = 0; i < 1000; ++i) bad += "x\n";
    EXPECT_EQ(ReadCsv(bad).rejected, 1000U);
    EXPECT_EQ(ReadCsv(bad).errors.size(), kMaxCsvErrors);
}

TEST(SuppressionCsv, MarksCellsThatASpreadsheetWouldRun) {
    EXPECT_EQ(CsvCell("a@b.co"), "a@b.co");
    EXPECT_EQ(CsvCell("=1+1"), "'=1+1");
    EXPECT_EQ(CsvCell("+a@b.co"), "'+a@b.co");
    EXPECT_EQ(CsvCell("-x"), "'-x");
    EXPECT_EQ(CsvCell("@x"), "'@x");
    EXPECT_EQ(CsvCell("\tx"), "'\tx");
    EXPECT_EQ(CsvCell("a,\"b\""), "\"a,\"\"b\"\"\"");
    EXPECT_EQ(CsvCell(""), "");
}

}  // namespace
}  // namespace opensend::suppressions
