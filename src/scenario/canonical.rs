//! RFC 8785: one text for one JSON value, so that its hash names it.

use serde_json::Value;

/// The canonical text. Numbers are doubles, as the RFC says: whole numbers beyond 2^53 are rounded.
pub fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// BLAKE3, in hexadecimal, of the canonical text of a scenario without its `$schema`.
pub fn hash(resolved: &Value) -> String {
    let mut bare = resolved.clone();
    if let Value::Object(fields) = &mut bare {
        fields.shift_remove("$schema");
    }
    blake3::hash(canonical(&bare).as_bytes()).to_hex().to_string()
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&ecmascript(number.as_f64().unwrap_or(0.0))),
        Value::String(text) => string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().collect();
            sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (at, (key, item)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                string(key, out);
                out.push(':');
                write(item, out);
            }
            out.push('}');
        }
    }
}

fn string(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// A number as ECMAScript writes it: the shortest digits that read back, with an exponent from 1e21 on and
/// below 1e-6.
fn ecmascript(number: f64) -> String {
    if number == 0.0 {
        return "0".into();
    }
    let shortest = format!("{:e}", number.abs());
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let digits = even_of_two(number.abs(), mantissa.replace('.', ""));
    let point = exponent.parse::<i32>().unwrap_or(0) + 1;
    let count = digits.len() as i32;
    let zeros = |n: i32| "0".repeat(n.max(0) as usize);
    let sign = if number < 0.0 { "-" } else { "" };
    let body = match point {
        _ if count <= point && point <= 21 => format!("{digits}{}", zeros(point - count)),
        1..=21 => format!("{}.{}", &digits[..point as usize], &digits[point as usize..]),
        -5..=0 => format!("0.{}{digits}", zeros(-point)),
        _ => {
            let plus = if point > 0 { "+" } else { "" };
            let behind = if count > 1 { format!(".{}", &digits[1..]) } else { String::new() };
            format!("{}{behind}e{plus}{}", &digits[..1], point - 1)
        }
    };
    format!("{sign}{body}")
}

/// Of two shortest texts that are equally near, ECMAScript takes the one whose last digit is even.
fn even_of_two(number: f64, digits: String) -> String {
    let Some(last) = digits.bytes().last().filter(|last| last % 2 == 1 && digits.len() >= 15) else { return digits };
    // 767 digits behind the point are enough for every double.
    let exact = format!("{number:.767e}");
    let exact = exact.split('e').next().unwrap_or_default().replace('.', "");
    let Some(stem) = exact.trim_end_matches('0').strip_suffix('5') else { return digits };
    let head = &digits[..digits.len() - 1];
    let even = if stem == digits { last + 1 } else { last - 1 };
    let other = format!("{head}{}", char::from(even));
    let tied = even.is_ascii_digit() && (stem == digits || stem == other);
    let exponent = format!("{number:e}").split_once('e').map_or(String::new(), |(_, exponent)| exponent.to_owned());
    let reads_back = format!("{}.{}e{exponent}", &other[..1], &other[1..]).parse() == Ok(number);
    if tied && reads_back { other } else { digits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_rfc() {
        // RFC 8785, appendix B.
        for (bits, text) in [
            (0x0000_0000_0000_0000, "0"),
            (0x8000_0000_0000_0000, "0"),
            (0x0000_0000_0000_0001, "5e-324"),
            (0x8000_0000_0000_0001, "-5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0xc340_0000_0000_0000, "-9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
            (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x444b_1ae4_d6e2_ef50, "1e+21"),
            (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0x41b3_de43_5555_5554, "333333333.33333325"),
            (0x41b3_de43_5555_5555, "333333333.3333333"),
            (0x41b3_de43_5555_5556, "333333333.3333334"),
            (0x41b3_de43_5555_5557, "333333333.33333343"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
            (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
        ] {
            assert_eq!(ecmascript(f64::from_bits(bits)), text);
        }
    }

    #[test]
    fn keys_are_sorted_by_utf16_and_texts_escaped_as_in_the_rfc() {
        // RFC 8785, sections 3.2.2 and 3.2.3.
        let value: Value = serde_json::from_str(
            r#"{"\u20ac": "Euro Sign", "\r": "Carriage Return", "\ufb33": "Hebrew Letter Dalet With Dagesh",
                "1": "One", "\ud83d\ude00": "Emoji: Grinning Face", "\u0080": "Control",
                "\u00f6": "Latin Small Letter O With Diaeresis"}"#,
        )
        .expect("the example of the RFC is JSON");
        let keys: Vec<_> =
            canonical(&value).split("\":\"").filter_map(|part| part.rsplit('"').next().map(str::to_owned)).collect();
        assert_eq!(keys[..7], ["\\r", "1", "\u{80}", "ö", "€", "😀", "\u{fb33}"]);
        let value: Value = serde_json::from_str(
            r#"{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
                "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}"#,
        )
        .expect("the example of the RFC is JSON");
        let expected = r#"{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}"#;
        assert_eq!(canonical(&value), expected);
    }
}
