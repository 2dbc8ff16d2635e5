import LinuxSys
import Testing

@Suite struct EscapedTextTests {
    @Test(
        "a backslash makes a part's own of what would separate",
        arguments: [
            ("a:b", ["a", "b"], ["a", "b"]), (#"lo\:w:/b"#, [#"lo\:w"#, "/b"], ["lo:w", "/b"]),
            (#"a\\:b"#, [#"a\\"#, "b"], [#"a\"#, "b"]), ("::", ["", "", ""], ["", "", ""]), ("", [""], [""]),
            (#"a\"#, [#"a\"#], ["a"]),
        ])
    func split(text: String, parts: [String], plain: [String]) {
        #expect(EscapedText.split(text, at: ":") == parts)
        #expect(parts.map(EscapedText.plain) == plain)
    }
}
