// SPDX-License-Identifier: MIT
//
// Redo records as text and JSON. Pure; the reading of files is redo_dump.h.
#pragma once

#include <optional>
#include <string>

#include "client/ctl/json.h"
#include "common/base/types.h"
#include "common/innodb/mtr_assembler.h"
#include "common/innodb/redo_record.h"

namespace redoubt::ctl {

// What the record's body says: "offset=54 value=3", "cursor=120 end_segment=17 index=compact n=5
// uniq=1". A body that cannot be decoded gives "undecodable" and its first bytes, never an error:
// the parser has found its length already.
std::string DescribeBody(const innodb::RedoRecord& record);

// One line for the mtr and an indented one for each record; with `only`, the records of that page,
// and nothing at all when the mtr has none. Ends in a line break unless empty.
std::string MtrText(const innodb::MtrView& mtr, std::optional<PageId> only);
// {"start_lsn":..,"end_lsn":..,"bytes":..,"records":[{"lsn":..,"type":..,"space":..,"page":..,"body":..}]}
// with the same selection; returns false, with nothing written, when no record is selected.
bool MtrJson(const innodb::MtrView& mtr, std::optional<PageId> only, JsonWriter* json);

}  // namespace redoubt::ctl
