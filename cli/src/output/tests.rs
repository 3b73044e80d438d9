use std::{cell::RefCell, rc::Rc};

use super::*;

#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).unwrap()
    }
}

fn output(format: Format, talk: Talk) -> (Output, Shared, Shared) {
    let (data, speech) = (Shared::default(), Shared::default());
    let manner = Manner {
        format,
        talk,
        data: Stream::Other,
        speech: Stream::Other,
        data_paint: Paint::Off,
        speech_paint: Paint::Off,
    };
    (Output::new(manner, Box::new(data.clone()), Box::new(speech.clone())), data, speech)
}

#[test]
fn an_error_is_a_sentence_its_causes_and_its_hints() {
    let (mut output, data, speech) = output(Format::Human, Talk::Quiet);
    output.error(&CommandError::usage("no\nname").because(&io::Error::other("it is empty")).hint("give one"));
    assert_eq!(speech.text(), "error: no\\u{a}name\ncaused by: it is empty\nhint: give one\n");
    assert_eq!(data.text(), "");
}

#[test]
fn under_json_an_error_is_one_object() {
    let (mut output, data, speech) = output(Format::Json, Talk::Usual);
    output.error(&CommandError::not_found("no such thing").hint("look elsewhere"));
    assert_eq!(
        speech.text(),
        "{\"error\":{\"kind\":\"not-found\",\"message\":\"no such thing\",\"causes\":[],\
         \"hints\":[\"look elsewhere\"]},\"exit_code\":3}\n"
    );
    assert_eq!(data.text(), "");
}

#[test]
fn quiet_silences_talk_but_not_warnings() {
    let (mut output, data, speech) = output(Format::Human, Talk::Quiet);
    output.say("working");
    output.hint("try this");
    output.warn("shortened");
    output.line("data").unwrap();
    assert_eq!(speech.text(), "warning: shortened\n");
    assert_eq!(data.text(), "data\n");
}

#[test]
fn fields_are_aligned() {
    let (mut output, data, _) = output(Format::Human, Talk::Usual);
    output.fields([("name", "alice".to_string()), ("serial", "4a".to_string())]).unwrap();
    assert_eq!(data.text(), "name    alice\nserial  4a\n");
}

#[test]
fn a_broken_pipe_is_quiet() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (_, _, speech) = output(Format::Human, Talk::Usual);
    let manner = Manner {
        format: Format::Human,
        talk: Talk::Usual,
        data: Stream::Other,
        speech: Stream::Other,
        data_paint: Paint::Off,
        speech_paint: Paint::Off,
    };
    let mut output = Output::new(manner, Box::new(Gone), Box::new(speech.clone()));
    let error = output.line("data").unwrap_err();
    assert_eq!(error.kind, Kind::BrokenPipe);
    output.error(&error);
    assert_eq!(speech.text(), "");
}
