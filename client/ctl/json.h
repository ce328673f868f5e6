// SPDX-License-Identifier: MIT
//
// Writes JSON text. 64-bit numbers stay numbers (protobuf's own JSON makes them strings), because
// scripts compare LSNs.
#pragma once

#include <concepts>
#include <string>
#include <string_view>

namespace redoubt::ctl {

class JsonWriter {
 public:
  JsonWriter& BeginObject() { return Open('{'); }
  JsonWriter& EndObject() { return Close('}'); }
  JsonWriter& BeginArray() { return Open('['); }
  JsonWriter& EndArray() { return Close(']'); }
  // Inside an object, before its value.
  JsonWriter& Key(std::string_view name);

  JsonWriter& String(std::string_view text);
  JsonWriter& Bool(bool value);
  JsonWriter& Null();
  template <std::integral T>
  JsonWriter& Number(T value) {
    Separate();
    text_ += std::to_string(value);
    return *this;
  }

  JsonWriter& Field(std::string_view name, std::string_view value) {
    return Key(name).String(value);
  }
  JsonWriter& Field(std::string_view name, const char* value) { return Key(name).String(value); }
  template <std::integral T>
  JsonWriter& Field(std::string_view name, T value) {
    Key(name);
    if constexpr (std::same_as<T, bool>) {
      return Bool(value);
    } else {
      return Number(value);
    }
  }

  const std::string& text() const { return text_; }

 private:
  JsonWriter& Open(char bracket);
  JsonWriter& Close(char bracket);
  // A comma where one is due.
  void Separate();

  std::string text_;
  bool comma_due_ = false;
};

}  // namespace redoubt::ctl
